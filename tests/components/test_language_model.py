"""A language model answers, streams, counts, fails in words, and can be cancelled."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from application.ports.components import ComponentFailedError, MissingSettingError
from domain.run.values import Live, Message
from infrastructure.components.language_model import LanguageModel
from infrastructure.components.models import PROVIDERS
from tests.components.calls import Call, build
from tests.fake_openai import FakeModels

KEY = "sk-canary-1234567890"
REAL = ["OpenAI", "Anthropic", "Google", "Ollama"]
pytestmark = pytest.mark.slow  # the providers' libraries take seconds to import


@pytest.fixture
async def fake() -> AsyncIterator[FakeModels]:
    async with FakeModels() as server:
        yield server


async def ask(
    fake: FakeModels, provider: str = "OpenAI", call: Call | None = None, **more: Any
) -> Message:
    fields = {
        "provider": provider,
        "model_name": "some-model",
        "api_key": KEY,
        "input_value": "How are you?",
        **more,
    }
    model = LanguageModel(base_urls=fake.base_urls)
    said = await build(model, call or Call(), **fields)
    assert isinstance(said, Message)
    return said


@pytest.mark.parametrize("provider", REAL)
async def test_a_model_answers_and_is_counted(fake: FakeModels, provider: str) -> None:
    call = Call()
    said = await ask(fake, provider, call, system_message="Be kind.")
    assert said.text == "Hello from the fake model."
    (asked,) = fake.calls
    assert [turn["content"] for turn in asked.messages] == ["Be kind.", "How are you?"]
    (counted,) = call.model_calls
    assert (counted["provider"], counted["model"]) == (provider, "some-model")
    assert (counted["input_tokens"], counted["output_tokens"]) == (5, 5)
    assert counted["duration_ms"] >= 0
    assert call.tokens == []


@pytest.mark.parametrize("provider", REAL)
async def test_a_speaking_model_streams_into_the_chat(
    fake: FakeModels, provider: str
) -> None:
    call = Call(speaking=True)
    said = await ask(fake, provider, call)
    assert said.text == "".join(call.tokens) == "Hello from the fake model."
    assert len(call.tokens) == 5
    assert fake.calls[0].streaming
    (counted,) = call.model_calls
    assert (counted["input_tokens"], counted["output_tokens"]) == (3, 5)


@pytest.mark.parametrize("provider", ["OpenAI", "Anthropic", "Google"])
async def test_the_key_goes_to_its_provider(fake: FakeModels, provider: str) -> None:
    fake.key = KEY
    assert (await ask(fake, provider)).text


@pytest.mark.parametrize("provider", REAL)
@pytest.mark.parametrize("speaking", [True, False])
async def test_cancelling_hangs_up_on_the_model(
    fake: FakeModels, provider: str, speaking: bool
) -> None:
    fake.answer, fake.pause = "word " * 500, 0.02
    fake.delay = 0 if speaking else 60
    call = Call(speaking=speaking)
    task = asyncio.create_task(ask(fake, provider, call))
    while not fake.calls or (speaking and not call.tokens):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(30):
        await fake.calls[0].ended.wait()
    assert fake.calls[0].hung_up
    assert call.model_calls == []


@pytest.mark.parametrize("provider", ["OpenAI", "Anthropic", "Google"])
async def test_a_missing_key_is_named(fake: FakeModels, provider: str) -> None:
    with pytest.raises(MissingSettingError, match=f"^{provider} API key is required"):
        await ask(fake, provider, api_key="")
    assert fake.calls == []


@pytest.mark.parametrize("provider", REAL)
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "cannot take this request: the text is too long"),
        (401, "refused the API key"),
        (403, "does not let this API key"),
        (404, "has no model “some-model”"),
    ],
)
async def test_a_refusal_says_what_to_do(
    fake: FakeModels, provider: str, status: int, words: str
) -> None:
    fake.fail, fake.fail_with = status, f"the text is too long {KEY}"
    with pytest.raises(ComponentFailedError, match=words) as refused:
        await ask(fake, provider)
    assert KEY not in said_in(refused.value)


def said_in(error: BaseException) -> str:
    return f"{error!r} {error} {error.__cause__}"


async def test_a_providers_own_words_about_a_key_stay_unsaid(fake: FakeModels) -> None:
    fake.fail, fake.fail_with = 429, f"Quota of key sk-can***7890 ({KEY}) used up"
    fake.failures = 10
    model = LanguageModel(base_urls=fake.base_urls)
    fields = {"model_name": "m", "api_key": KEY, "input_value": "x"}
    with pytest.raises(ComponentFailedError, match="no more requests") as refused:
        await build(model, Call(), **fields)
    assert "Quota of key … (…) used up" in str(refused.value)


async def test_a_busy_provider_is_asked_again(fake: FakeModels) -> None:
    fake.fail, fake.failures = 503, 1
    assert (await ask(fake)).text == "Hello from the fake model."
    assert len(fake.calls) == 2


async def test_a_faulty_provider_is_named(fake: FakeModels) -> None:
    fake.fail = 500
    with pytest.raises(ComponentFailedError, match=r"fault of its own \(HTTP 500\)"):
        await ask(fake)


@pytest.mark.parametrize("provider", REAL)
async def test_a_cut_line_is_no_answer(fake: FakeModels, provider: str) -> None:
    fake.cut_after = 2
    call = Call(speaking=True)
    with pytest.raises(ComponentFailedError, match="broke before its answer"):
        await ask(fake, provider, call)
    assert call.model_calls == []


@pytest.mark.parametrize("provider", REAL)
async def test_a_stream_that_just_stops_is_no_answer(
    fake: FakeModels, provider: str
) -> None:
    fake.stop_after = 2
    with pytest.raises(ComponentFailedError, match="broke before its answer"):
        await ask(fake, provider, Call(speaking=True))


@pytest.mark.parametrize("provider", REAL)
async def test_an_unreachable_model_is_named(fake: FakeModels, provider: str) -> None:
    nowhere = FakeModels(port=1)
    with pytest.raises(ComponentFailedError, match=f"{provider} cannot be reached"):
        await ask(nowhere, provider)


async def test_instructions_alone_are_asked_as_the_message(fake: FakeModels) -> None:
    await ask(fake, "Anthropic", input_value="", system_message="Say hello.")
    assert [turn["role"] for turn in fake.calls[0].messages] == ["user"]


async def test_nothing_to_ask_is_refused(fake: FakeModels) -> None:
    with pytest.raises(MissingSettingError, match="nothing to ask"):
        await ask(fake, input_value=" ")


async def test_a_reasoning_model_gets_no_temperature(fake: FakeModels) -> None:
    await ask(fake, model_name="o3-mini", temperature=0.1)
    await ask(fake, temperature="0.3")
    assert "temperature" not in fake.calls[0].body
    assert fake.calls[1].body["temperature"] == 0.3


async def test_a_temperature_is_a_number(fake: FakeModels) -> None:
    with pytest.raises(ComponentFailedError, match="Temperature"):
        await ask(fake, temperature="warm")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("provider", "Nobody", "no model provider “Nobody”; choose one of OpenAI"),
        ("model_name", "", "Choose a model"),
    ],
)
async def test_a_wrong_choice_is_refused(
    fake: FakeModels, field: str, value: str, words: str
) -> None:
    wrong: dict[str, Any] = {field: value}
    with pytest.raises(ComponentFailedError, match=words):
        await ask(fake, **wrong)


async def test_a_model_that_counts_nothing_is_recorded_so(fake: FakeModels) -> None:
    fake.counts_tokens = False
    for speaking in (True, False):
        call = Call(speaking=speaking)
        await ask(fake, call=call)
        assert call.model_calls[0]["input_tokens"] is None


async def test_others_may_use_the_model_itself(fake: FakeModels) -> None:
    model = LanguageModel(base_urls=fake.base_urls)
    call = Call(wanted=["model_output"])
    live = await build(model, call, model_name="m", api_key=KEY)
    assert isinstance(live, Live)
    assert (await live.value.ainvoke("Hi")).text == "Hello from the fake model."
    assert call.model_calls == []


@pytest.mark.parametrize("provider", ["Anthropic", "Google", "Ollama"])
async def test_a_library_that_is_not_there_is_named(
    fake: FakeModels, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = PROVIDERS[provider]
    module = f"infrastructure.components.providers.{known.module}"
    library = {"google": "google_genai"}.get(known.module, known.module)
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, f"langchain_{library}", None)
    words = rf"pip install \"langbuilder-eventsourced\[{known.extra}\]\""
    with pytest.raises(ComponentFailedError, match=words):
        await ask(fake, provider)


async def test_a_flow_cannot_send_the_server_into_its_own_network(
    fake: FakeModels,
) -> None:
    async with FakeModels() as private:
        with pytest.raises(ComponentFailedError, match="LANGBUILDER_ALLOWED_HOSTS"):
            await ask(fake, "Ollama", base_url=private.url)
        assert private.calls == []
        allowed = LanguageModel(base_urls=fake.base_urls, allowed_hosts=["127.0.0.1"])
        fields = {"provider": "Ollama", "model_name": "m", "input_value": "x"}
        said = await build(allowed, Call(), base_url=private.url, **fields)
        assert said.text
        assert len(private.calls) == 1


async def test_the_operators_own_address_needs_no_permission(fake: FakeModels) -> None:
    assert (await ask(fake, "Ollama", base_url=fake.url)).text


async def test_a_hidden_base_url_is_not_used(fake: FakeModels) -> None:
    await ask(fake, "OpenAI", base_url="http://192.0.2.1")
    assert len(fake.calls) == 1
