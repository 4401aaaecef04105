"""Events found by what is known of them, compared with a look at every one."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from uuid import UUID, uuid4

import pytest

from application.ports import SYSTEM, Actor, Recorded
from application.ports.browsing import Wanted
from domain.catalogue import tag_of
from domain.kernel import Log
from infrastructure.event_store import browse
from infrastructure.event_store.browse import PostgresBrowser
from infrastructure.event_store.command import NOBODY
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from tests.contracts.event_stores import Named, Talk, because

pytestmark = pytest.mark.server

PEOPLE = [Actor(user=uuid4()) for _ in range(3)]


@pytest.fixture
async def store(database: Database) -> AsyncIterator[PostgresEventStore]:
    store = PostgresEventStore(database)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


@pytest.fixture
def browser(database: Database, store: PostgresEventStore) -> PostgresBrowser:
    return PostgresBrowser(database, store)


@pytest.fixture
async def written(store: PostgresEventStore) -> list[Recorded]:
    """A log of many people's commands, some of which append several events."""
    chance = Random(7)
    for _ in range(60):
        actor = chance.choice([*PEOPLE, SYSTEM])
        named = Named.called(*"abc"[: chance.randint(1, 3)])
        await store.save(named, cause=because(actor=actor))
    return await store.read_log("core")


def matches(wanted: Wanted, one: Recorded) -> bool:
    """The same question, asked of each event."""
    tag, told = tag_of(type(one.event)), one.metadata
    story, command = told["correlation_id"], told["command_id"]
    actor = None if wanted.actor == NOBODY else str(wanted.actor)
    return all(
        (
            wanted.stream in (None, one.stream),
            wanted.tag in (None, tag, tag.partition(".")[0] + "."),
            wanted.actor is None or told["actor"] == actor,
            wanted.correlation is None or story == str(wanted.correlation),
            wanted.command is None or command == str(wanted.command),
            wanted.since is None or one.at >= wanted.since,
            wanted.until is None or one.at < wanted.until,
        )
    )


async def all_forwards(
    browser: PostgresBrowser, wanted: Wanted, *, limit: int, log: Log = "core"
) -> list[Recorded]:
    found: list[Recorded] = []
    after, more = 0, True
    while more:
        page = await browser.forwards(log, wanted, after=after, upto=None, limit=limit)
        assert len(page.events) <= limit
        found += page.events
        assert page.reached > after or not page.more
        after, more = page.reached, page.more
    return found


async def all_backwards(
    browser: PostgresBrowser, wanted: Wanted, *, limit: int
) -> list[Recorded]:
    found: list[Recorded] = []
    before: int | None = None
    more = True
    while more:
        page = await browser.backwards("core", wanted, before=before, limit=limit)
        found += page.events
        before, more = page.reached, page.more
    return found


def questions(log: Sequence[Recorded]) -> list[Wanted]:
    one, other = log[11], log[70]
    return [
        Wanted(),
        Wanted(stream=one.stream),
        Wanted(stream=uuid4()),
        Wanted(tag="project.renamed"),
        Wanted(tag="project."),
        Wanted(tag="project.closed"),
        Wanted(tag="flow."),
        Wanted(actor=PEOPLE[0].user),
        Wanted(actor=NOBODY),
        Wanted(actor=uuid4()),
        Wanted(correlation=UUID(one.metadata["correlation_id"])),
        Wanted(command=UUID(other.metadata["command_id"])),
        Wanted(command=UUID(other.metadata["correlation_id"])),
        Wanted(since=one.at, until=other.at),
        Wanted(since=other.at),
        Wanted(until=one.at),
        Wanted(since=other.at, until=one.at),
        Wanted(tag="project.renamed", actor=PEOPLE[1].user, since=one.at),
        Wanted(stream=one.stream, tag="project.renamed", until=other.at),
    ]


@pytest.mark.parametrize("scanned", [7, 20_000])
@pytest.mark.parametrize("margin", [timedelta(0), browse.CLOCK_MARGIN])
async def test_whatever_is_asked_is_found_in_order_from_either_end(
    browser: PostgresBrowser,
    written: list[Recorded],
    scanned: int,
    margin: timedelta,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(browse, "SCANNED", scanned)
    monkeypatch.setattr(browse, "CLOCK_MARGIN", margin)
    for wanted in questions(written):
        expected = [one for one in written if matches(wanted, one)]
        for limit in (3, 500):
            assert await all_forwards(browser, wanted, limit=limit) == expected
            assert await all_backwards(browser, wanted, limit=limit) == expected[::-1]


async def test_one_question_looks_at_so_many_rows_and_no_more(
    browser: PostgresBrowser, written: list[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse, "SCANNED", 5)
    nobody = Wanted(actor=uuid4())

    on = await browser.forwards("core", nobody, after=0, upto=None, limit=100)
    back = await browser.backwards("core", nobody, before=None, limit=100)

    assert (on.events, on.reached, on.more) == ([], written[4].position, True)
    assert (back.events, back.reached, back.more) == ([], written[-5].position, True)


async def test_a_page_is_not_heavier_than_it_may_be(
    browser: PostgresBrowser, store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse, "PAGE_BYTES", 3_000)
    for size in (10, 1_500, 1_400, 50_000, 10, 10):
        await store.save(Named.called("x" * size), cause=because())

    pages = []
    after, more = 0, True
    while more:
        page = await browser.forwards(
            "core", Wanted(), after=after, upto=None, limit=50
        )
        pages.append(len(page.events))
        after, more = page.reached, page.more

    assert pages == [2, 1, 1, 2]


async def test_positions_bound_what_is_looked_at(
    browser: PostgresBrowser, written: list[Recorded]
) -> None:
    low, high = written[20].position, written[30].position

    page = await browser.forwards("core", Wanted(), after=low, upto=high, limit=500)
    back = await browser.backwards("core", Wanted(), before=low, limit=500)

    assert page.events == written[21:31]
    assert not page.more
    assert back.events == written[:20][::-1]


@pytest.mark.parametrize("place", [2**63, 10**30])
async def test_a_position_beyond_all_is_no_error(
    browser: PostgresBrowser, written: list[Recorded], place: int
) -> None:
    on = await browser.forwards("core", Wanted(), after=place, upto=place, limit=5)
    back = await browser.backwards("core", Wanted(), before=place, limit=5)

    assert not on.events
    assert not on.more
    assert back.events == written[-5:][::-1]


async def test_the_other_log_is_another(
    browser: PostgresBrowser, store: PostgresEventStore, written: list[Recorded]
) -> None:
    talk = Talk.opened()
    await store.save(talk, cause=because())

    found = await all_forwards(browser, Wanted(), limit=10, log="runs")

    assert [one.stream for one in found] == [talk.id]


async def test_words_that_look_like_a_pair_are_not_taken_for_one(
    browser: PostgresBrowser, store: PostgresEventStore
) -> None:
    wanted = uuid4()
    sly = Actor(user=uuid4(), credential=f'","actor":"{wanted}"')
    await store.save(Named.called("a"), cause=because(actor=sly))

    assert not await all_forwards(browser, Wanted(actor=wanted), limit=10)


async def test_moments_are_found_without_reading_the_log(
    browser: PostgresBrowser,
    written: list[Recorded],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(browse, "CLOCK_MARGIN", timedelta(0))
    for one, following in pairwise(written):
        begin, end = await browser.span(
            "core", Wanted(since=following.at, until=following.at)
        )
        assert begin == end == one.position
    far = datetime.now(UTC) + timedelta(days=1)
    past = datetime.now(UTC) - timedelta(days=1)
    assert await browser.span("core", Wanted(since=far)) == (
        written[-1].position,
        2**63 - 1,
    )
    assert (await browser.span("core", Wanted(since=past)))[0] == 0


@pytest.mark.parametrize(
    "bounds",
    [lambda one: (one, one), lambda _: (UUID(int=0), UUID(int=2**128 - 1))],
    ids=["one", "all"],
)
async def test_streams_are_found_by_a_range_of_ids(
    browser: PostgresBrowser,
    store: PostgresEventStore,
    written: list[Recorded],
    bounds: Callable[[UUID], tuple[UUID, UUID]],
) -> None:
    talk = Talk.opened()
    await store.save(talk, cause=because())
    known = sorted({one.stream for one in written} | {talk.id})
    first, last = bounds(talk.id)

    found = await browser.streams_like(first, last, limit=5)

    assert found == [one for one in known if first <= one <= last][:5]
