"""The history checker finds every kind of fault, and none where there is none."""

from collections.abc import Callable
from uuid import UUID

import pytest

from tests.resilience.history import Happened, Seen, Told, check

A, B = UUID(int=1), UUID(int=2)
FIRST, SECOND, THIRD = UUID(int=11), UUID(int=12), UUID(int=13)
UNHEARD, REFUSED = UUID(int=14), UUID(int=15)

LOG = [
    Happened(1, A, 1, FIRST),
    Happened(2, A, 2, FIRST),
    Happened(4, B, 1, SECOND),
    Happened(5, A, 3, THIRD),
    Happened(6, B, 2, THIRD),
    Happened(9, B, 3, UNHEARD),
    Happened(10, B, 4, UNHEARD),
]
"""Two streams, three acknowledged commands, and one whose writer was killed."""


def told() -> Told:
    return Told(
        meant={FIRST: 2, SECOND: 1, THIRD: 2, UNHEARD: 2, REFUSED: 1},
        acknowledged={FIRST: 2, SECOND: 4, THIRD: 6},
        refused={REFUSED},
    )


def reader(events: list[Happened], *, after: int = 0) -> Seen:
    seen = Seen("a reader", after=after)
    seen.see(event for event in events if event.position > after)
    return seen


def without(*places: int) -> list[Happened]:
    return [event for at, event in enumerate(LOG) if at not in places]


def test_a_good_history_has_no_fault() -> None:
    readers = [reader(LOG, after=after) for after in (0, 2, 3, 8, 10)]
    assert check(told(), LOG, readers) == []


def test_what_nobody_heard_of_may_be_there_or_not() -> None:
    short = without(5, 6)
    assert check(told(), short, [reader(short)]) == []
    assert told().unanswered() == {UNHEARD}
    assert told().events == 5


def test_holes_between_positions_are_no_fault() -> None:
    spread = [event._replace(position=event.position * 7) for event in LOG]
    acknowledged = {command: at * 7 for command, at in told().acknowledged.items()}
    apart = Told(told().meant, acknowledged, told().refused)
    assert check(apart, spread, [reader(spread, after=15)]) == []


MOVED: dict[str, tuple[list[Happened], str]] = {
    "an acknowledged command lost": (without(2), "lost: command"),
    "half a command lost": (without(1), "torn: 1 of 2"),
    "half of what nobody heard of": (without(6), "torn: 1 of 2"),
    "an event of a stream lost": (without(0, 1), "follows version 0"),
    "an event twice": ([*LOG, Happened(11, B, 5, SECOND)], "one more than the 1"),
    "a version twice": ([*LOG, Happened(11, B, 4, REFUSED)], "follows version 4"),
    "a gap in a stream": ([*LOG, Happened(11, B, 6, REFUSED)], "follows version 4"),
    "what was refused": ([*LOG, Happened(11, B, 5, REFUSED)], "was refused"),
    "what nobody wrote": ([*LOG, Happened(11, B, 5, A)], "was written by nobody"),
    "two events changed places": (
        [*LOG[:2], LOG[3], LOG[2], *LOG[4:]],
        "comes after position 5",
    ),
    "another command in between": (
        [
            *LOG[:5],
            Happened(9, B, 3, UNHEARD),
            Happened(10, A, 4, REFUSED),
            Happened(11, B, 4, UNHEARD),
        ],
        "apart from the rest",
    ),
    "another position than was told": (
        [*LOG[:2], LOG[2]._replace(position=3), *LOG[3:]],
        "was acknowledged at position 4",
    ),
}


@pytest.mark.parametrize(("log", "fault"), MOVED.values(), ids=MOVED)
def test_a_bad_log_is_found_out(log: list[Happened], fault: str) -> None:
    assert fault in "\n".join(check(told(), log, []))


READ: dict[str, tuple[Callable[[], Seen], str]] = {
    "one passed over": (lambda: reader(without(3)), "passed over position 5"),
    "the last not seen": (lambda: reader(without(6)), "did not see position 10"),
    "one seen twice": (
        lambda: reader([*LOG[:3], LOG[2], *LOG[3:]]),
        "saw position 4 again",
    ),
    "one seen too late": (
        lambda: reader([*LOG[:2], LOG[3], LOG[2], *LOG[4:]]),
        "passed over position 4",
    ),
    "one seen that is gone": (
        lambda: reader([*LOG[:2], Happened(3, A, 3, REFUSED), *LOG[2:]]),
        "saw position 3 where it does not belong",
    ),
    "one seen after the end": (
        lambda: reader([*LOG, Happened(12, A, 4, REFUSED)]),
        "saw position 12 alone",
    ),
    "one seen as another": (
        lambda: reader([*LOG[:2], LOG[2]._replace(version=2), *LOG[3:]]),
        "saw something else at position 4",
    ),
}


@pytest.mark.parametrize(("bad", "fault"), READ.values(), ids=READ)
def test_a_bad_reader_is_found_out(bad: Callable[[], Seen], fault: str) -> None:
    good = reader(LOG)
    assert check(told(), LOG, [good, bad()]) == [f"a reader {fault}"]


def test_only_the_first_faults_are_told() -> None:
    assert 0 < len(check(told(), LOG[::-1] * 100, [])) <= 20
