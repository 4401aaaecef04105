"""What operations want of the wire and of the clock, said and not done."""

from collections.abc import Callable, Generator, Sequence
from typing import Any

import msgspec

from langbuilder.wire import Answer, Call


class Send(msgspec.Struct, frozen=True):
    """Wants the answer to a call."""

    call: Call


class More(msgspec.Struct, frozen=True):
    """Wants the next piece of an answer, ``None`` after the last."""

    answer: Answer


class Close(msgspec.Struct, frozen=True):
    """Wants an answer closed that was read piece by piece."""

    answer: Answer


class Pause(msgspec.Struct, frozen=True):
    """Wants some seconds to pass."""

    seconds: float


class Apart(msgspec.Struct, frozen=True):
    """Wants something done that blocks, such as writing to a file."""

    work: Callable[[], Any]


class Alone(msgspec.Struct, frozen=True):
    """Wants steps carried out while nobody else's are, such as signing in."""

    steps: "Steps[Any]"


class Give(msgspec.Struct, frozen=True):
    """Has some items for whoever iterates."""

    items: Sequence[Any]


type Deed = Send | More | Close | Pause | Apart | Alone
"""What somebody has to do before steps go on."""
type Want = Deed | Give
type Steps[T] = Generator[Want, Any, T]
