"""When a call is sent again, after how long, and when it had better not be."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pytest

from langbuilder import (
    ConnectionFailedError,
    LangBuilderError,
    RateLimitError,
    RefusalError,
    Retries,
    ServerBusyError,
    ServerError,
    TimedOutError,
    UnreadableAnswerError,
    ValidationError,
)
from langbuilder.credentials import nobody
from langbuilder.sending import Sending
from langbuilder.steps import Pause, Send
from langbuilder.wire import Answer, Call, command, get

RETRIES = Retries(most=3, first=1.0, longest=3.0, chance=lambda: 1.0)
QUESTION = get("/api/v1/flows/")
KEYED = command("POST", "/api/v1/flows/", {})
ONCE = command("POST", "/api/v1/api_key/", {}, once=False)
LOST = ConnectionFailedError("cut", sent=True)
UNSENT = ConnectionFailedError("nobody there", sent=False)

type Event = int | tuple[int, str] | LangBuilderError


class Told:
    """What became of a call: how often it was sent, and the pauses between."""

    def __init__(self, call: Call, events: Sequence[Event]) -> None:
        self.sent: list[Call] = []
        self.pauses: list[float] = []
        self.result: Any = None
        coming = iter(events)
        steps = Sending(nobody(), RETRIES, {}).send(call)
        try:
            want = next(steps)
            while True:
                match want:
                    case Send(call=sent):
                        self.sent.append(sent)
                        want = self._happens(steps, sent, next(coming))
                    case Pause(seconds=seconds):
                        self.pauses.append(seconds)
                        want = steps.send(None)
                    case _:
                        pytest.fail(f"It wants {want}")
        except StopIteration as end:
            self.result = end.value.status
        except LangBuilderError as error:
            self.result = error
        assert not [*coming]

    def _happens(self, steps: Any, call: Call, event: Event) -> Any:
        if isinstance(event, LangBuilderError):
            return steps.throw(event)
        status, after = (event, "") if isinstance(event, int) else event
        headers = {"retry-after": after} if after else {}
        return steps.send(Answer(call=call, status=status, headers=headers))


@pytest.mark.parametrize("call", [QUESTION, KEYED], ids=["question", "keyed"])
@pytest.mark.parametrize("trouble", [LOST, UNSENT, 429, 502, 503, 504], ids=str)
def test_what_passes_is_waited_for(call: Call, trouble: Event) -> None:
    told = Told(call, [trouble, trouble, trouble, 200])

    assert told.result == 200
    assert told.pauses == [1.0, 2.0, 3.0]
    assert len({one.key for one in told.sent}) == 1


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (LOST, ConnectionFailedError),
        (429, RateLimitError),
        (503, ServerBusyError),
        (502, ServerError),
    ],
    ids=str,
)
def test_what_does_not_pass_is_told_in_the_end(trouble: Event, error: type) -> None:
    told = Told(QUESTION, [trouble] * 4)

    assert isinstance(told.result, error)
    assert len(told.pauses) == 3


@pytest.mark.parametrize("trouble", [LOST, 502, 503, 504], ids=str)
def test_what_may_have_been_done_is_not_done_again_without_a_key(
    trouble: Event,
) -> None:
    told = Told(ONCE, [trouble])

    assert isinstance(told.result, LangBuilderError)
    assert told.pauses == []


@pytest.mark.parametrize("trouble", [UNSENT, 429], ids=str)
def test_what_was_surely_not_done_is_tried_again_without_a_key(trouble: Event) -> None:
    assert Told(ONCE, [trouble, 200]).result == 200


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 500, 501])
def test_a_refusal_is_told_at_once(status: int) -> None:
    told = Told(QUESTION, [status])

    assert isinstance(told.result, RefusalError)
    assert told.result.status == status


def test_a_server_says_how_long_to_wait() -> None:
    told = Told(KEYED, [(503, "5"), (429, "7"), 200])

    assert told.pauses == [6.0, 8.0]


def test_who_is_to_wait_too_long_is_told_so() -> None:
    told = Told(QUESTION, [(429, "3600")])

    assert isinstance(told.result, RateLimitError)
    assert told.result.retry_after == 3600


def test_a_server_may_name_the_time_to_come_again() -> None:
    told = Told(QUESTION, [(503, "Wed, 25 Nov 2020 10:00:00 GMT"), 200])
    odd = Told(QUESTION, [(503, "soon"), 200])

    assert told.pauses == odd.pauses == [1.0]


def test_a_body_that_can_be_read_only_once_is_sent_once() -> None:
    class River:
        headers: Mapping[str, str] = MappingProxyType({})
        repeatable = False

        def pieces(self) -> Any:
            yield b"water"

    call = Call(method="POST", path="/", content=River(), key="k")

    assert Told(call, [LOST]).result is LOST
    assert isinstance(Told(call, [503]).result, ServerBusyError)


def test_who_minds_time_outs_gets_them() -> None:
    late = TimedOutError("late", sent=True)
    waiting = Call(method="POST", path="/", key="k", waiting=True)

    assert Told(waiting, [late]).result is late
    assert Told(KEYED, [late, 200]).result == 200


def test_pauses_differ_by_chance_and_by_half_at_most() -> None:
    assert [Retries(chance=lambda: 0.0).pause(n) for n in (1, 2, 99)] == [
        0.125,
        0.25,
        4.0,
    ]
    assert Retries(chance=lambda: 1.0).pause(99) == 8.0


def test_the_text_of_an_error_says_what_where_and_what_to_do() -> None:
    detail = b'{"detail": [{"loc": ["body", "name"], "msg": "Field required"}]}'
    answer = Answer(call=KEYED, status=422, headers={}, content=detail)

    error = answer.refusal

    assert isinstance(error, ValidationError)
    assert str(error) == (
        "POST /api/v1/flows/: body.name: Field required (422). "
        "Mend the fields that it names."
    )


@pytest.mark.parametrize("body", [b"<html>Hello</html>", b"", b"[1, 2"])
def test_what_is_not_ours_is_told_as_such(body: bytes) -> None:
    answer = Answer(call=QUESTION, status=200, headers={}, content=body)

    with pytest.raises(UnreadableAnswerError, match="GET /api/v1/flows/"):
        answer.read(dict[str, int])


def test_a_redirect_is_not_followed_with_the_key_in_hand() -> None:
    answer = Answer(
        call=QUESTION, status=307, headers={"location": "https://elsewhere.example"}
    )

    assert "elsewhere.example" in str(answer.refusal)
    assert type(answer.refusal) is RefusalError
