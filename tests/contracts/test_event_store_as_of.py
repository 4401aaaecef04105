"""A stream as it was: at a version, at a moment, and where events have been lost."""

from datetime import UTC, datetime, timedelta

import pytest

from application.ports import ConcurrencyError, StreamNotFoundError
from tests.contracts.event_stores import Named, Stored, Talk, because

AGES = timedelta(days=4000)


async def named(stored: Stored, *names: str) -> Named:
    """Store a stream, each of its events in a save of its own."""
    made = Named.called(names[0])
    await stored.store.save(made, cause=because())
    for name in names[1:]:
        made.call(name)
        await stored.store.save(made, cause=because())
    return made


@pytest.mark.parametrize("version", [3, 4, 2**63, 10**30])
async def test_beyond_the_end_it_is_as_it_is_now(stored: Stored, version: int) -> None:
    made = await named(stored, "a", "b", "c")

    loaded = await stored.store.load(Named, made.id, version=version)

    assert (loaded.names, loaded.version) == (["a", "b", "c"], 3)


@pytest.mark.parametrize("version", [0, -1])
async def test_before_the_first_version_there_is_none(
    stored: Stored, version: int
) -> None:
    made = await named(stored, "a")

    with pytest.raises(StreamNotFoundError):
        await stored.store.load(Named, made.id, version=version)


async def test_it_is_loaded_as_of_the_moment_of_each_event(stored: Stored) -> None:
    made = await named(stored, "a", "b", "c")

    for recorded in await stored.store.read_stream("core", made.id):
        then = await stored.store.load(Named, made.id, at=recorded.at)
        assert then.version == recorded.version
        assert then.names == made.names[: recorded.version]


async def test_before_its_first_event_there_is_none(stored: Stored) -> None:
    made = await named(stored, "a", "b")
    [first, *_] = await stored.store.read_stream("core", made.id)
    before = first.at - timedelta(microseconds=1)

    for moment in (before, datetime.now(UTC) - AGES):
        with pytest.raises(StreamNotFoundError):
            await stored.store.load(Named, made.id, at=moment)


async def test_in_days_to_come_it_is_as_it_is_now(stored: Stored) -> None:
    made = await named(stored, "a", "b")

    then = await stored.store.load(Named, made.id, at=datetime.now(UTC) + AGES)

    assert then.names == made.names


async def test_of_a_version_and_a_moment_the_earlier_counts(stored: Stored) -> None:
    made = await named(stored, "a", "b", "c")
    [_, second, third] = await stored.store.read_stream("core", made.id)

    one = await stored.store.load(Named, made.id, version=1, at=third.at)
    two = await stored.store.load(Named, made.id, version=3, at=second.at)

    assert (one.names, two.names) == (["a"], ["a", "b"])


async def test_what_was_cannot_be_added_to(stored: Stored) -> None:
    made = await named(stored, "a", "b")
    then = await stored.store.load(Named, made.id, version=1)
    then.call("c")

    with pytest.raises(ConcurrencyError):
        await stored.store.save(then, cause=because())


async def test_a_stream_that_lost_events_goes_on_from_its_last(stored: Stored) -> None:
    talk = Talk.opened()
    for word in ("second", "third", "fourth"):
        talk.say(word)
    await stored.store.save(talk, cause=because())
    await stored.cut(talk.id, 2)
    await stored.cut(talk.id, 3)

    loaded = await stored.store.load(Talk, talk.id)
    assert (loaded.names, loaded.version) == (["first", "fourth"], 4)
    loaded.say("fifth")
    await stored.store.save(loaded, cause=because())

    assert (await stored.store.load(Talk, talk.id)).version == 5
    assert (await stored.store.load(Talk, talk.id, version=3)).version == 1
    read = await stored.store.read_stream("runs", talk.id, after=1, limit=1)
    assert [one.version for one in read] == [4]
