"""How events look on a command line: a line each for people, JSON for programs."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
from rich.console import Console
from rich.text import Text

from api.cli.output import as_json, console
from application.events import EventLine, StreamState
from domain.aggregates import context_of

type Clock = Literal["absolute", "relative"]

COLOURS: Final = {
    "user": "green",
    "project": "yellow",
    "flow": "cyan",
    "run": "blue",
    "thread": "magenta",
    "operation": "bright_black",
}
NARROWEST: Final = 24
SHORT_ID: Final = 8
WIDEST_PIPED: Final = 96
_UNSEEN: Final = re.compile("[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What would move the cursor or turn the line around; JSON escapes other controls."""
_AGO: Final = (
    (timedelta(days=2), timedelta(days=1), "d"),
    (timedelta(hours=2), timedelta(hours=1), "h"),
    (timedelta(minutes=2), timedelta(minutes=1), "min"),
    (timedelta(0), timedelta(seconds=1), "s"),
)


_HEADING: Final = (
    f"{'TIME (UTC)':<19}  {'LOG=POSITION':<13} {'STREAM':<{SHORT_ID}} {'VER':<6} "
    f"{'EVENT':<24} {'ACTOR':<{SHORT_ID}} WHAT IT SAYS"
)


class EventTable:
    """
    Prints events one under the other as they come.

    On a terminal: colours, short ids, and what does not fit the line is cut off. In a
    pipe: whole ids, no colours.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._out: Console = console()
        self._here = self._out.is_terminal
        self._headed = not self._here

    def __call__(self, line: EventLine) -> None:
        """Print *line*, below the heading if it is the first."""
        if not self._headed:
            self._headed = True
            self._print(Text(_HEADING, style="bold"))
        self._print(self._row(line))

    def _row(self, line: EventLine) -> Text:
        place = f"{line.log}={line.position}"
        row = Text()
        row.append(f"{self._time(line.at):<19}  {place:<13} ", style="dim")
        row.append(f"{self._id(line.stream)} v{line.version:<5} ")
        row.append(f"{line.tag:<24} ", style=COLOURS.get(context_of(line.tag), ""))
        row.append(f"{self._actor(line):<{SHORT_ID}} ", style="dim")
        row.append(_said(line), style="red" if line.status != "readable" else "")
        return row

    def _print(self, row: Text) -> None:
        row.rstrip()
        if self._here:
            row.truncate(max(self._out.width, NARROWEST), overflow="ellipsis")
        self._out.print(row, no_wrap=True, crop=False)

    def _time(self, at: datetime) -> str:
        if self._clock == "relative":
            return ago(datetime.now(UTC) - at)
        return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"

    def _id(self, one: UUID) -> str:
        return str(one)[:SHORT_ID] if self._here else str(one)

    def _actor(self, line: EventLine) -> str:
        if "actor" not in line.metadata:
            return "unknown"
        actor = line.metadata["actor"]
        if actor is None:
            return "system"
        return str(actor)[:SHORT_ID] if self._here else str(actor)


def ago(past: timedelta) -> str:
    """Return how long ago something was, in the largest unit that tells."""
    past = max(past, timedelta(0))
    unit, word = next((unit, word) for least, unit, word in _AGO if past >= least)
    return f"{past // unit} {word} ago"


def print_json(line: EventLine | StreamState) -> None:
    """Print one line of JSON, for a program."""
    as_json(line)


def print_state(state: StreamState) -> None:
    """Print what a stream came to, for a person."""
    out = console()
    out.print(
        f"{state.kind} {state.stream}, version {state.version},",
        f"recorded {state.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
        markup=False,
        style="bold",
    )
    text = msgspec.json.format(msgspec.json.encode(state.state), indent=2).decode()
    out.print(text, markup=False)


def _said(line: EventLine) -> str:
    if line.data is None:
        return line.status if line.reason is None else f"{line.status}: {line.reason}"
    if not line.data:
        return ""
    text = _UNSEEN.sub(
        "\N{REPLACEMENT CHARACTER}", msgspec.json.encode(line.data).decode()
    )
    return text if len(text) <= WIDEST_PIPED else f"{text[: WIDEST_PIPED - 1]}…"
