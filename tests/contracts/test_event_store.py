"""What every event store promises about streams and logs."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest

from application.ports import (
    Attached,
    Claim,
    ClaimTakenError,
    ConcurrencyError,
    EventTooLargeError,
    IdempotencyKeyReusedError,
    Position,
    StreamNotFoundError,
)
from domain.project.events import ProjectOpened, ProjectRenamed
from infrastructure.event_store.command import MixedLogsError
from infrastructure.event_store.sealing import MAX_EVENT_BYTES
from tests.contracts.event_stores import (
    OWNER,
    SOMEONE,
    Named,
    Stored,
    Talk,
    because,
)


async def test_what_was_saved_is_loaded(stored: Stored) -> None:
    named = Named.called("a", "b")
    await stored.store.save(named, cause=because())
    named.call("c")
    await stored.store.save(named, cause=because())

    loaded = await stored.store.load(Named, named.id)

    assert loaded.names == ["a", "b", "c"]
    assert (loaded.version, loaded.stored_version, loaded.recorded) == (3, 3, ())
    assert named.recorded == ()


async def test_a_stream_is_loaded_as_it_was_at_a_version(stored: Stored) -> None:
    named = Named.called("a", "b", "c")
    await stored.store.save(named, cause=because())

    assert (await stored.store.load(Named, named.id, version=2)).names == ["a", "b"]


async def test_a_stream_that_is_not_there_cannot_be_loaded(stored: Stored) -> None:
    with pytest.raises(StreamNotFoundError):
        await stored.store.load(Named, uuid4())


async def test_a_stream_of_thousands_of_events_is_loaded_whole(stored: Stored) -> None:
    named = Named.called(*(str(number) for number in range(4000)))
    await stored.store.save(named, cause=because())

    assert (await stored.store.load(Named, named.id)).names == named.names


async def test_an_event_comes_back_in_its_envelope(stored: Stored) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    named = Named.called("a", "b")
    cause = because(actor=SOMEONE)
    saved = await stored.store.save(named, cause=cause)

    first, second = await stored.store.read_stream("core", named.id)

    assert first.event == ProjectOpened(owner=OWNER, name="a")
    assert second.event == ProjectRenamed(name="b")
    assert [(one.log, one.stream) for one in (first, second)] == [
        ("core", named.id)
    ] * 2
    assert [first.version, second.version] == [1, 2]
    assert first.position < second.position == saved.position.core
    assert before < first.at <= second.at < datetime.now(UTC) + timedelta(seconds=1)
    assert first.at.utcoffset() == timedelta(0)
    assert first.metadata == {
        "actor": str(SOMEONE.user),
        "command_id": str(cause.command_id),
        "correlation_id": str(cause.correlation_id),
    }


async def test_a_stream_is_read_from_a_version_on_and_up_to_a_limit(
    stored: Stored,
) -> None:
    named = Named.called("a", "b", "c", "d")
    await stored.store.save(named, cause=because())

    read = await stored.store.read_stream("core", named.id, after=1, limit=2)

    assert [one.version for one in read] == [2, 3]


async def test_each_log_has_an_order_of_its_own(stored: Stored) -> None:
    named, talk = Named.called("a", "b"), Talk.opened()
    assert await stored.store.head() == Position()
    in_core = await stored.store.save(named, cause=because())
    in_runs = await stored.store.save(talk, cause=because())

    assert [one.stream for one in await stored.store.read_log("core")] == [named.id] * 2
    assert [one.stream for one in await stored.store.read_log("runs")] == [talk.id]
    assert await stored.store.read_stream("core", talk.id) == []
    assert (in_core.position.runs, in_runs.position.core) == (0, 0)
    assert await stored.store.head() == in_core.position.upto(in_runs.position)


async def test_a_log_is_read_in_pages_without_a_gap(stored: Stored) -> None:
    for name in "abcde":
        await stored.store.save(Named.called(name, name), cause=because())

    pages = []
    after = 0
    while page := await stored.store.read_log("core", after=after, limit=3):
        pages.extend(page)
        after = page[-1].position

    assert [one.position for one in pages] == [
        one.position for one in await stored.store.read_log("core")
    ]
    assert len(pages) == 10


async def test_concurrent_saves_are_stored_once_each_and_in_order(
    stored: Stored,
) -> None:
    async def write(name: str) -> None:
        named = Named(uuid4())
        for number in range(5):
            named.call(f"{name}{number}")
            await stored.store.save(named, cause=because())

    await asyncio.gather(*(write(str(writer)) for writer in range(20)))

    log = await stored.store.read_log("core")
    assert len(log) == 100
    assert all(one.position < other.position for one, other in pairwise(log))
    for stream in {one.stream for one in log}:
        versions = [one.version for one in log if one.stream == stream]
        assert versions == [1, 2, 3, 4, 5]


async def test_who_comes_second_is_told_so(stored: Stored) -> None:
    named = Named.called("a")
    await stored.store.save(named, cause=because())
    first = await stored.store.load(Named, named.id)
    second = await stored.store.load(Named, named.id)
    first.call("b")
    second.call("c")
    await stored.store.save(first, cause=because())

    with pytest.raises(ConcurrencyError):
        await stored.store.save(second, cause=because())

    assert (await stored.store.load(Named, named.id)).names == ["a", "b"]
    assert second.recorded == (ProjectRenamed(name="c"),)


async def test_of_many_who_come_at_once_one_is_first(stored: Stored) -> None:
    at = uuid4()

    outcomes = await asyncio.gather(
        *(
            stored.store.save(Named.called(str(n), at=at), cause=because())
            for n in range(20)
        ),
        return_exceptions=True,
    )

    refused = [one for one in outcomes if isinstance(one, ConcurrencyError)]
    assert len(refused) == 19
    assert len(await stored.store.read_log("core")) == 1


async def test_a_stream_cannot_have_a_hole(stored: Stored) -> None:
    ahead = Named(uuid4())
    ahead.replay(ProjectOpened(owner=OWNER, name="never stored"))
    ahead.call("b")

    with pytest.raises(ConcurrencyError):
        await stored.store.save(ahead, cause=because())


async def test_a_save_over_several_streams_is_all_or_nothing(stored: Stored) -> None:
    taken = Named.called("a")
    await stored.store.save(taken, cause=because())
    fresh, late = Named.called("fresh"), Named.called("late", at=taken.id)

    with pytest.raises(ConcurrencyError):
        await stored.store.save(fresh, late, cause=because())
    with pytest.raises(StreamNotFoundError):
        await stored.store.load(Named, fresh.id)

    other = Named.called("b")
    await stored.store.save(fresh, other, cause=because())
    assert (await stored.store.load(Named, other.id)).names == ["b"]


async def test_one_save_goes_to_one_log(stored: Stored) -> None:
    with pytest.raises(MixedLogsError):
        await stored.store.save(Named.called("a"), Talk.opened(), cause=because())


async def test_anywhere_appends_after_what_is_there(stored: Stored) -> None:
    talk = Talk.opened()
    talk.say("second")
    await stored.store.save(talk, cause=because())

    async def say(word: str) -> None:
        blind = Talk(talk.id)
        blind.say(word)
        await stored.store.save(Talk.opened(), cause=because(), anywhere=[blind])

    await asyncio.gather(*(say(str(number)) for number in range(10)))

    loaded = await stored.store.load(Talk, talk.id)
    assert loaded.names[:2] == ["first", "second"]
    assert sorted(loaded.names[2:]) == [str(number) for number in range(10)]
    assert loaded.version == 12


async def test_anywhere_falls_with_the_save_it_is_part_of(stored: Stored) -> None:
    talk = Talk.opened()
    await stored.store.save(talk, cause=because())
    blind = Talk(talk.id)
    blind.say("unheard")

    with pytest.raises(ClaimTakenError):
        await stored.store.save(
            anywhere=[blind], cause=because(), attached=await _taken(stored)
        )

    assert (await stored.store.load(Talk, talk.id)).names == ["first"]


async def test_a_save_of_nothing_is_nothing(stored: Stored) -> None:
    saved = await stored.store.save(Named(uuid4()), cause=because(), answer=b"so")

    assert (saved.position, saved.answer, saved.repeated) == (Position(), b"so", False)
    assert stored.heard == []


async def test_a_save_without_events_still_attaches(stored: Stored) -> None:
    claim = Claim("name", "x", uuid4())

    saved = await stored.store.save(cause=because(), attached=Attached(claims=[claim]))

    assert saved.position == Position()
    assert await stored.claims.holder("name", "x") == claim.holder


async def test_an_event_beyond_the_limit_is_refused(stored: Stored) -> None:
    with pytest.raises(EventTooLargeError):
        await stored.store.save(Named.called("x" * MAX_EVENT_BYTES), cause=because())

    assert await stored.store.head() == Position()


async def test_text_of_any_kind_survives(stored: Stored) -> None:
    named = Named.called("NUL \x00, emoji 🜁, quotes \"'\\, newline \n", "")
    await stored.store.save(named, cause=because())

    assert (await stored.store.load(Named, named.id)).names == named.names


async def test_whoever_asked_is_called_after_each_append(stored: Stored) -> None:
    core = await stored.store.save(Named.called("a", "b"), cause=because())
    runs = await stored.store.save(Talk.opened(), cause=because())

    assert stored.heard == [
        ("core", core.position.core),
        ("runs", runs.position.runs),
    ]


# Commands with a key


async def test_a_repeated_command_gets_the_first_answer(stored: Stored) -> None:
    cause = because(actor=SOMEONE, key=uuid4(), request=b"hash")
    first = await stored.store.save(Named.called("a"), cause=cause, answer=b"made a")

    again = await stored.store.save(Named.called("b"), cause=cause, answer=b"made b")

    assert (first.repeated, again.repeated) == (False, True)
    assert again.answer == b"made a"
    assert again.position == first.position
    assert len(await stored.store.read_log("core")) == 1


async def test_a_repeat_is_recognised_before_any_conflict(stored: Stored) -> None:
    cause = because(actor=SOMEONE, key=uuid4(), request=b"hash")
    at = uuid4()
    claims = [Claim("name", "x", at)]
    await stored.store.save(
        Named.called("a", at=at), cause=cause, attached=Attached(claims=claims)
    )

    others = Attached(claims=[Claim("name", "x", uuid4())])
    again = await stored.store.save(
        Named.called("b", at=at), cause=cause, attached=others
    )

    assert again.repeated


async def test_a_key_cannot_be_used_for_another_request(stored: Stored) -> None:
    key = uuid4()
    cause = because(actor=SOMEONE, key=key, request=b"hash")
    other = because(actor=SOMEONE, key=key, request=b"another")
    await stored.store.save(Named.called("a"), cause=cause)

    with pytest.raises(IdempotencyKeyReusedError):
        await stored.store.save(Named.called("b"), cause=other)
    with pytest.raises(IdempotencyKeyReusedError):
        await stored.store.save(Talk.opened(), cause=other)
    with pytest.raises(IdempotencyKeyReusedError):
        await stored.store.answered(other)

    assert len(await stored.store.read_log("core")) == 1


async def test_two_people_may_choose_the_same_key(stored: Stored) -> None:
    key = uuid4()
    await stored.store.save(Named.called("a"), cause=because(actor=SOMEONE, key=key))

    saved = await stored.store.save(Named.called("b"), cause=because(key=key))

    assert not saved.repeated


async def test_a_refused_command_may_come_again(stored: Stored) -> None:
    cause = because(actor=SOMEONE, key=uuid4(), request=b"hash")
    with pytest.raises(ClaimTakenError):
        await stored.store.save(
            Named.called("a"), cause=cause, attached=await _taken(stored)
        )
    assert await stored.store.answered(cause) is None

    saved = await stored.store.save(Named.called("a"), cause=cause)

    assert not saved.repeated


async def test_the_same_command_many_times_at_once_is_carried_out_once(
    stored: Stored,
) -> None:
    cause = because(actor=SOMEONE, key=uuid4(), request=b"hash")

    outcomes = await asyncio.gather(
        *(
            stored.store.save(Named.called(str(n)), cause=cause, answer=str(n).encode())
            for n in range(10)
        )
    )

    assert [one.repeated for one in outcomes].count(False) == 1
    assert len({one.answer for one in outcomes}) == 1
    assert len(await stored.store.read_log("core")) == 1


async def test_an_answer_can_be_asked_for_before_deciding(stored: Stored) -> None:
    cause = because(actor=SOMEONE, key=uuid4(), request=b"hash")
    assert await stored.store.answered(cause) is None
    saved = await stored.store.save(Named.called("a"), cause=cause, answer=b"made a")

    answered = await stored.store.answered(cause)

    assert answered is not None
    assert (answered.answer, answered.repeated) == (b"made a", True)
    assert answered.position == saved.position


async def test_a_command_without_a_key_is_never_a_repeat(stored: Stored) -> None:
    cause = because(actor=SOMEONE)
    await stored.store.save(Named.called("a"), cause=cause)

    saved = await stored.store.save(Named.called("b"), cause=cause)

    assert not saved.repeated
    assert await stored.store.answered(cause) is None


async def _taken(stored: Stored) -> Attached:
    """Return an attachment that will be refused."""
    await stored.store.save(
        cause=because(), attached=Attached(claims=[Claim("name", "taken", UUID(int=1))])
    )
    return Attached(claims=[Claim("name", "taken", UUID(int=2))])
