"""Talking with flows: heard, asked, answered aloud; and what goes wrong in between."""

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
import pytest

from api.composition import Application
from api.voice.talk import BREATH, breaths
from infrastructure.voice.mouths import ElevenLabs, OpenAiSpeech
from infrastructure.voice.realtime import OpenAiRealtime
from tests.api.conftest import Join, Person, serving
from tests.api.talking import Talk, bearing, starter, talking
from tests.fake_realtime import KEY, FakeRealtime, ever
from tests.fake_speech import ELEVEN, FakeSpeech

WS = "/api/v1/voice/ws"
PROGRESS = "flow.build.progress"


class Studio(NamedTuple):
    """A server, and the stand-ins of those who listen and speak for it."""

    address: str
    model: FakeRealtime
    speech: FakeSpeech


@pytest.fixture(scope="module")
async def studios(application: Application) -> AsyncIterator[Studio]:
    """A server whose voices are stand-ins."""
    model, speech = FakeRealtime(), FakeSpeech(KEY)
    async with model.serving(), speech.serving():
        voices = msgspec.structs.replace(
            application.world.voices,
            realtime=OpenAiRealtime(model.url, model="talker"),
            mouth=OpenAiSpeech(f"{speech.url}/v1", model="mouth"),
            choir=ElevenLabs(speech.url, model="eleven"),
        )
        world = msgspec.structs.replace(application.world, voices=voices)
        same = msgspec.structs.replace(application, world=world)
        async with serving(same) as address:
            yield Studio(address, model, speech)


@pytest.fixture
async def studio(studios: Studio) -> AsyncIterator[Studio]:
    """The server, whose stand-ins have heard nothing yet."""
    yield studios
    async with asyncio.timeout(30):  # what is said on leaving is not for the next
        await asyncio.gather(*(call.wait_closed() for call in studios.model.calls))
    studios.model.forget()
    studios.speech.forget()


async def with_keys(person: Person, **keys: str) -> Person:
    for name, value in keys.items():
        body = {"name": name, "value": value, "type": "Credential"}
        made = await person.post("/api/v1/variables/", json=body)
        assert made.status_code == 201, made.text
    return person


@pytest.fixture(scope="session")
async def speaker(join: Join) -> Person:
    """Somebody with keys for both providers."""
    keys = {"OPENAI_API_KEY": KEY, "ELEVENLABS_API_KEY": ELEVEN}
    return await with_keys(await join("speaker"), **keys)


def sound(text: str) -> str:
    return b64encode(text.encode()).decode()


async def utter(talk: Talk, text: str) -> None:
    for piece in (text[:2], text[2:]):
        await talk.say(type="input_audio_buffer.append", audio=sound(piece))
    await talk.say(type="input_audio_buffer.commit")


def spoken(frames: list[dict[str, Any]]) -> str:
    deltas = [f["delta"] for f in frames if f["type"] == "response.audio.delta"]
    return "".join(b64decode(delta).decode("utf-16-le") for delta in deltas)


async def test_a_flow_is_spoken_to_and_answers_aloud(
    studio: Studio, speaker: Person
) -> None:
    flow = await starter(speaker, "Words in a Template")
    async with talking(
        studio.address, f"{WS}/flow_tts/{flow}/by-voice", headers=bearing(speaker)
    ) as talk:
        await talk.say(type="voice.settings", voice="verse")
        await utter(talk, "good morning")
        heard = await talk.until("response.audio.done")

    kinds = [frame["type"] for frame in heard]
    assert kinds[0] == "session.created"
    transcript = next(f for f in heard if f["type"].endswith("transcription.completed"))
    assert transcript["transcript"] == "good morning"
    events = [frame["data"]["event"] for frame in heard if frame["type"] == PROGRESS]
    assert (events[0], events[-1]) == ("vertices_sorted", "end")
    assert "good morning" in spoken(heard)
    [said] = studio.speech.said
    assert said["input"] == spoken(heard)
    assert (said["voice"], said["model"]) == ("verse", "mouth")
    assert said["response_format"] == "pcm"
    assert studio.model.asked == ["transcription"]
    [session] = studio.model.sessions()
    assert session["input_audio_transcription"] == {"model": "gpt-4o-mini-transcribe"}
    messages = await speaker.get("/api/v1/monitor/messages?session_id=by-voice")
    assert messages.json()[0]["text"] == "good morning"
    runs = (await speaker.get(f"/api/v1/runs?flow_id={flow}")).json()["items"]
    assert runs[0]["trigger"] == "voice"


async def test_elevenlabs_speaks_where_that_is_wished(
    studio: Studio, speaker: Person
) -> None:
    flow = await starter(speaker, "Words in a Template")
    config = {"type": "langbuilder.elevenlabs.config", "enabled": True}
    async with talking(
        studio.address, f"{WS}/flow_tts/{flow}", headers=bearing(speaker)
    ) as talk:
        await talk.say(**config, voice_id="v 1?x=#")
        await utter(talk, "good evening")
        heard = await talk.until("response.audio.done")
        await talk.say(**config, voice_id="nobody")
        await utter(talk, "hello?")
        refused = (await talk.until("error"))[-1]

    first, second = studio.speech.said
    assert (first["voice"], first["model_id"]) == ("v 1?x=#", "eleven")
    assert first["format"] == "pcm_24000"
    assert first["text"] == spoken(heard)
    assert second["voice"] == "nobody"
    assert refused["code"] == "voice_refused"


async def test_whoever_interrupts_is_let_speak(studio: Studio, speaker: Person) -> None:
    flow = await starter(speaker, "Words in a Template")
    studio.speech.waits = asyncio.Event()
    async with talking(
        studio.address, f"{WS}/flow_tts/{flow}", headers=bearing(speaker)
    ) as talk:
        await utter(talk, "a long story")
        await talk.until("response.audio.delta")
        await studio.model.say(type="input_audio_buffer.speech_started")
        await ever(lambda: studio.speech.hushed)
        studio.speech.waits.set()
        await utter(talk, "another one")
        heard = await talk.until("response.audio.done")

    assert "another one" in spoken(heard)
    assert "a long story" not in spoken(heard)


async def test_a_model_asks_the_flow_by_its_tool_and_is_told_the_answer(
    studio: Studio, speaker: Person
) -> None:
    flow = await starter(speaker, "Words in a Template")
    async with talking(
        studio.address, f"{WS}/flow_as_tool/{flow}/tool", headers=bearing(speaker)
    ) as talk:
        await talk.say(
            type="session.update",
            session={"instructions": "Be brief", "tools": [], "tool_choice": "none"},
        )
        await utter(talk, "what do you say?")
        heard = await talk.until("response.done")

    first, second = studio.model.sessions()
    assert [tool["name"] for tool in first["tools"]] == ["execute_flow"]
    assert second == {"instructions": "Be brief"}
    assert studio.model.asked == ["talker"]
    assert "what do you say?" in heard[-1]["output"]["result"]
    assert PROGRESS in [frame["type"] for frame in heard]
    assert studio.model.heard[-1] == {"type": "response.create"}
    assert studio.speech.said == []


async def test_a_model_that_calls_its_tool_wrongly_is_told_so(
    studio: Studio, speaker: Person
) -> None:
    flow = await starter(speaker, "Words in a Template")
    async with talking(
        studio.address, f"{WS}/flow_as_tool/{flow}", headers=bearing(speaker)
    ) as talk:
        await utter(talk, '{"input": 7}')
        heard = await talk.until("response.done")

    assert heard[-1]["output"] == {"error": "Call it with an input, which is a text."}


async def test_elevenlabs_says_what_the_model_writes(
    studio: Studio, speaker: Person
) -> None:
    flow = await starter(speaker, "Words in a Template")
    async with talking(
        studio.address, f"{WS}/flow_as_tool/{flow}", headers=bearing(speaker)
    ) as talk:
        await talk.say(
            type="langbuilder.elevenlabs.config", enabled=True, voice_id="v1"
        )
        await utter(talk, "aloud, please")
        heard = await talk.until("response.audio.done")

    assert studio.model.sessions()[-1] == {"modalities": ["text"]}
    assert "aloud, please" in spoken(heard)


@pytest.mark.parametrize("kind", ["flow_tts", "flow_as_tool"])
async def test_without_a_key_it_says_which_one_is_missing(
    studio: Studio, join: Join, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    person = await join("keyless")
    flow = await starter(person, "Words in a Template")
    async with talking(
        studio.address, f"{WS}/{kind}/{flow}", headers=bearing(person)
    ) as talk:
        refused = await talk.hear()
        closed = await talk.closed()

    assert (refused["type"], refused["code"]) == ("error", "api_key_missing")
    assert refused["key_name"] == "OPENAI_API_KEY"
    assert refused["message"]
    assert closed[0] == 1008
    assert studio.model.calls == []


async def test_a_key_that_is_refused_or_a_model_that_is_away_is_told(
    studio: Studio, join: Join, application: Application
) -> None:
    person = await with_keys(await join("wrong"), OPENAI_API_KEY="sk-wrong")
    flow = await starter(person, "Words in a Template")
    path = f"{WS}/flow_tts/{flow}"
    async with talking(studio.address, path, headers=bearing(person)) as talk:
        refused = await talk.hear()
        closed = await talk.closed()
    away = msgspec.structs.replace(
        application.world.voices,
        realtime=OpenAiRealtime("ws://127.0.0.1:1/v1/realtime", model="x"),
    )
    world = msgspec.structs.replace(application.world, voices=away)
    async with (
        serving(msgspec.structs.replace(application, world=world)) as address,
        talking(address, path, headers=bearing(person)) as talk,
    ):
        nobody = await talk.hear()
        later = await talk.closed()

    assert (refused["code"], closed[0]) == ("api_key_invalid", 1008)
    assert (nobody["code"], later[0]) == ("voice_away", 1013)


async def test_when_the_model_hangs_up_so_do_we(
    studio: Studio, speaker: Person
) -> None:
    flow = await starter(speaker, "Words in a Template")
    async with talking(
        studio.address, f"{WS}/flow_tts/{flow}", headers=bearing(speaker)
    ) as talk:
        await talk.hear()
        await studio.model.calls[-1].close()
        closed = await talk.closed()
    async with talking(
        studio.address, f"{WS}/flow_as_tool/{flow}", headers=bearing(speaker)
    ) as talk:
        await talk.hear()
    await ever(lambda: studio.model.calls[-1].close_code is not None)

    assert closed == (1001, "The voice provider has hung up")


async def test_a_conversation_does_not_last_for_ever(
    studio: Studio, speaker: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.voice.exchange.LASTS", 0.05)
    flow = await starter(speaker, "Words in a Template")
    async with talking(
        studio.address, f"{WS}/flow_tts/{flow}", headers=bearing(speaker)
    ) as talk:
        assert (await talk.closed())[0] == 1001


@pytest.mark.parametrize(
    "said",
    [
        {"type": "input_audio_buffer.append"},
        {"type": "input_audio_buffer.append", "audio": 1},
        {"type": "session.update", "session": {}},
        {"type": "transcription_session.update", "session": {}},
        {"type": "voice.settings", "voice": "x" * 501},
        {"audio": "x"},
        [],
    ],
    ids=range(7),
)
async def test_what_a_client_may_not_say_never_reaches_the_model(
    studio: Studio, speaker: Person, said: Any
) -> None:
    flow = await starter(speaker, "Words in a Template")
    async with talking(
        studio.address, f"{WS}/flow_tts/{flow}", headers=bearing(speaker)
    ) as talk:
        await talk.socket.send(json.dumps(said))
        refused = (await talk.until("error"))[-1]

    assert refused["code"] == "not_a_message"
    assert len(studio.model.heard) == 1


@pytest.mark.parametrize("kind", ["flow_tts", "flow_as_tool"])
async def test_another_ones_flow_cannot_be_talked_to(
    studio: Studio, ada: Person, speaker: Person, kind: str
) -> None:
    refusals = []
    for flow in (await starter(ada, "Basic Prompting"), str(uuid4()), "no-id"):
        path = f"{WS}/{kind}/{flow}"
        async with talking(studio.address, path, headers=bearing(speaker)) as talk:
            refusals.append((await talk.hear(), await talk.closed()))

    for frame, closed in refusals:
        assert frame == {
            "type": "error",
            "code": "not_found",
            "message": "Flow not found",
        }
        assert closed[0] == 1008
    assert studio.model.calls == []


async def test_voices_are_listed_by_ones_own_key(
    studio: Studio, speaker: Person, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ELEVENLABS_API_KEY", raising=False)
    url = f"{studio.address}/api/v1/voice/elevenlabs/voice_ids"
    wrong = await with_keys(await join("tone"), ELEVENLABS_API_KEY="xi-wrong")

    assert (await speaker.get(url)).json() == [{"voice_id": "v1", "name": "Rachel"}]
    for person, why in ((await join("mute"), "missing"), (wrong, "refuses this key")):
        answer = await person.get(url)
        assert answer.status_code == 200
        assert why in answer.json()["error"]


def test_a_long_answer_is_spoken_in_parts_cut_between_words() -> None:
    text = "One sentence of words. " * 1_000

    parts = list(breaths(text))

    assert len(parts) > 1
    assert max(map(len, parts)) <= BREATH
    assert " ".join(" ".join(parts).split()) == " ".join(text.split())
    assert list(breaths("x" * (BREATH + 1))) == ["x" * BREATH, "x"]
    assert list(breaths("  ")) == []
