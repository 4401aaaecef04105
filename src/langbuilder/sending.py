"""How a call is sent: signed, and again where that is safe."""

import random
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from langbuilder.credentials import Credential
from langbuilder.errors import (
    ConnectionFailedError,
    LangBuilderError,
    RefusalError,
    TimedOutError,
)
from langbuilder.steps import Pause, Send, Steps
from langbuilder.wire import REDIRECTED, Answer, Call

UNAUTHORIZED: Final = 401
RATE_LIMITED: Final = 429
PASSING: Final = frozenset({502, 503, 504})
"""What a server or a proxy before it says of a trouble that may pass."""

LONGEST_ASKED: Final = 60.0
"""Seconds; a server that asks to wait longer is taken at its word: it is an error."""


class Retries(msgspec.Struct, frozen=True):
    """
    How often a call is tried again, and after how many seconds.

    The pauses double from ``first`` to ``longest``, and of each at least half is
    waited, by chance: those who failed together must not come again together.
    """

    most: int = 4
    first: float = 0.25
    longest: float = 8.0
    chance: Callable[[], float] = random.random

    def pause(self, tried: int) -> float:
        """Return the seconds to wait after having *tried* so often."""
        longest: float = min(self.first * 2.0 ** min(tried - 1, 16), self.longest)
        return longest * (0.5 + self.chance() / 2)

    def after(self, call: Call, error: LangBuilderError, tried: int) -> float | None:
        """Return the seconds until *call* is tried again, ``None`` if it is not."""
        if tried > self.most or not call.resendable:
            return None
        match error:
            case TimedOutError() if call.waiting:
                again = False
            case ConnectionFailedError(sent=sent):
                again = call.repeatable or not sent
            case RefusalError(status=status):
                again = status == RATE_LIMITED or (
                    status in PASSING and call.repeatable
                )
                if error.retry_after is not None:
                    asked = error.retry_after + self.pause(1)
                    return asked if again and asked <= LONGEST_ASKED else None
            case _:
                again = False
        return self.pause(tried) if again else None


class Sending:
    """Sends calls as somebody, and sees them through what passes by itself."""

    def __init__(
        self, credential: Credential, retries: Retries, headers: Mapping[str, str]
    ) -> None:
        self.retries = retries
        self.credential = credential
        self._headers = dict(headers)

    def send(self, call: Call) -> Steps[Answer]:
        """Send *call* in the name of whoever this is; raise what it is refused for."""
        renewed = False
        while True:
            signature = yield from self.credential.signature(self.exchange)
            try:
                return (yield from self.exchange(call, signature))
            except RefusalError as error:
                if error.status != UNAUTHORIZED or renewed or not call.resendable:
                    raise
                if not (yield from self.credential.renew(signature, self.exchange)):
                    raise
            renewed = True

    def exchange(
        self, call: Call, signature: Mapping[str, str] | None = None
    ) -> Steps[Answer]:
        """Send *call* with *signature* for headers, again where that is safe."""
        keyed = {"idempotency-key": call.key} if call.key else {}
        headers = self._headers | dict(call.headers) | keyed | dict(signature or {})
        signed = msgspec.structs.replace(call, headers=headers)
        tried = 0
        while True:
            tried += 1
            try:
                answer: Answer = yield Send(signed)
            except ConnectionFailedError as failed:
                error: LangBuilderError = failed
            else:
                if answer.status < REDIRECTED:
                    return answer
                error = answer.refusal
            pause = self.retries.after(call, error, tried)
            if pause is None:
                raise error
            yield Pause(pause)
