"""What reaches a component: fields, variables, secrets, tweaks, history."""

import asyncio
import json
from uuid import UUID, uuid4

import msgspec
import pytest

from application.execution.variables import lendable
from application.ids import new_run_id, thread_id
from application.ports import Attached
from domain.run.events import RunRequested
from domain.user.user import User
from tests.application.lab import Lab, Scripted, cause_of, names


async def with_variable(
    lab: Lab, name: str, value: str, *, kind: str = "Credential"
) -> None:
    user = User.register(lab.owner, username="somebody", active=True)
    sealed = await lab.vault.seal(lab.owner, "variable", value)
    user.define_variable(uuid4(), name=name, kind=kind, secret=sealed.id)  # type: ignore[arg-type]
    cause = cause_of(lab.actor)
    await lab.store.save(user, cause=cause, attached=Attached(secrets=(sealed,)))


def bound(lab: Lab, field: str, name: str) -> dict[str, object]:
    document = lab.spoken(**{field: name})
    template = document["nodes"][1]["data"]["node"]["template"]
    template[field]["load_from_db"] = True
    return document  # type: ignore[no-any-return]


async def test_a_field_bound_to_a_variable_gets_its_value() -> None:
    speaker = Scripted("Speaker")
    async with Lab(speaker).open() as lab:
        await with_variable(lab, "My key", "sk-mine")
        flow = await lab.add(bound(lab, "api_key", "My key"))
        ended = await lab.runs.wait(await lab.ask(flow, input_value="x"))

    assert ended.status == "succeeded"
    assert speaker.seen[0]["api_key"] == "sk-mine"


async def test_a_missing_variable_is_named() -> None:
    async with Lab(Scripted("Speaker")).open() as lab:
        flow = await lab.add(bound(lab, "api_key", "My key"))
        frames = await lab.frames(await lab.ask(flow, input_value="x"))

    assert dict(frames)["error"]["text"] == "My key variable not found."


async def test_the_environment_answers_for_a_providers_name_only() -> None:
    environ = {"OPENAI_API_KEY": "sk-env", "LANGBUILDER_SECRET_KEY": "ours"}
    speaker = Scripted("Speaker")
    async with Lab(speaker, environ=environ).open() as lab:
        for name in environ:
            flow = await lab.add(bound(lab, "api_key", name))
            await lab.runs.wait(await lab.ask(flow, input_value="x"))

    assert [seen["api_key"] for seen in speaker.seen] == ["sk-env"]


@pytest.mark.parametrize(
    ("name", "lent"),
    [
        ("OPENAI_API_KEY", True),
        ("HUGGINGFACEHUB_API_TOKEN", True),
        ("openai_api_key", False),
        ("PATH", False),
        ("PGPASSWORD", False),
        ("DATABASE_URL", False),
        ("LANGBUILDER_SUPERUSER_PASSWORD", False),
        ("AWS_SECRET_ACCESS_KEY", False),
        ("SESSION_COOKIE", False),
    ],
)
def test_what_the_server_runs_on_is_never_lent(*, name: str, lent: bool) -> None:
    assert lendable(name) is lent


async def test_a_credential_may_not_name_a_session() -> None:
    async with Lab().open() as lab:
        await with_variable(lab, "Key", "sk-mine")
        document = lab.echo()
        template = document["nodes"][0]["data"]["node"]["template"]
        template["session_id"] |= {"value": "Key", "load_from_db": True}
        frames = await lab.frames(await lab.ask(await lab.add(document)))

    assert "sk-mine" not in json.dumps(frames)
    assert "end_vertex" in names(frames)
    assert dict(frames)["error"]["category"] == "error"


async def test_a_placeholder_in_an_unsaved_document_is_the_stored_secret() -> None:
    speaker = Scripted("Speaker")
    async with Lab(speaker).open() as lab:
        sealed = await lab.vault.seal(lab.owner, "flow-field", "sk-stored")
        await lab.store.save(
            cause=cause_of(lab.actor), attached=Attached(secrets=(sealed,))
        )
        stored = lab.spoken(api_key={"$secret": str(sealed.id)})
        flow = await lab.add(stored)
        for value in ("********", "sk-new", ""):
            run = await lab.ask(flow, document=lab.spoken(api_key=value))
            await lab.runs.wait(run)

    seen = [one.get("api_key", "") for one in speaker.seen]
    assert seen == ["sk-stored", "sk-new", ""]


async def test_no_secret_is_in_the_log_or_in_its_contents() -> None:
    async with Lab(Scripted("Speaker")).open() as lab:
        flow = await lab.add(lab.spoken())
        run = await lab.ask(
            flow,
            document=lab.spoken(api_key="sk-in-data"),
            tweaks={"Speaker-m": {"api_key": "sk-in-tweak"}},
            trigger="run",
        )
        await lab.runs.wait(run)
        log = await lab.store.read_log("runs")
        opened = await lab.contents.open(list(lab.store.content_rows))
        secrets = await lab.vault.open(list(lab.store.vault_rows))

    said = msgspec.json.encode([one.event for one in log]) + b"".join(opened.values())
    assert b"sk-in" not in said
    assert sorted(secrets.values()) == ["sk-in-data", "sk-in-tweak"]


async def test_a_run_of_an_unsaved_document_keeps_it_as_content() -> None:
    async with Lab().open() as lab:
        flow = await lab.add(lab.echo())
        run = await lab.ask(flow, document=lab.echo())
        await lab.runs.wait(run)
        [requested, *_] = await lab.events(run)

        assert isinstance(requested.event, RunRequested)
        assert requested.event.flow_version is None
        assert requested.event.document is not None
        ref = requested.event.document
        opened = await lab.contents.open([ref.id])
        assert msgspec.json.decode(opened[ref.id])["nodes"]


async def test_a_memory_knows_what_this_run_said_and_what_was_said_before() -> None:
    async with Lab().open() as lab:
        drawing = lab.draw()
        heard = drawing.place("ChatInput-a", "ChatInput", (0, 0))
        memory = drawing.place("Memory-m", "Memory", (0, 1))
        prompt = drawing.place(
            "Prompt-p", "Prompt Template", (1, 0), template="{memory}|{said}"
        )
        answer = drawing.place("ChatOutput-b", "ChatOutput", (2, 0))
        drawing.connect(memory, "messages_text", prompt, "memory")
        drawing.connect(heard, "message", prompt, "said")
        drawing.connect(prompt, "prompt", answer, "input_value")
        flow = await lab.add(drawing.document())
        said = []
        for text in ("one", "two"):
            frames = await lab.frames(
                await lab.ask(flow, input_value=text, session="s")
            )
            said.append([d["text"] for n, d in frames if n == "add_message"][-1])

    assert said[0] == "User: one|one"
    assert said[1].startswith("User: one\nAI: User: one|one\nUser: two")


async def test_two_runs_that_open_a_session_at_once_share_its_thread() -> None:
    async with Lab().open() as lab:
        flow = await lab.add(lab.echo())
        runs = await asyncio.gather(
            *(lab.ask(flow, input_value=str(n), session="new") for n in range(5))
        )
        for run in runs:
            assert (await lab.runs.wait(run)).status == "succeeded"
        threads = await lab.store.claims.taken("thread", f"{flow}/")

    assert [claim.key for claim in threads] == [f"{flow}/new"]


async def test_a_session_may_be_taken_up_again_after_its_thread_was_renamed() -> None:
    async with Lab().open() as lab:
        flow = await lab.add(lab.echo())
        await lab.runs.wait(await lab.ask(flow, input_value="x", session="s"))
        first = await lab.store.claims.holder("thread", f"{flow}/s")
        del lab.store.claims.rows["thread", f"{flow}/s"]  # as a rename does
        ended = await lab.runs.wait(await lab.ask(flow, input_value="x", session="s"))
        second = await lab.store.claims.holder("thread", f"{flow}/s")

    assert ended.status == "succeeded"
    assert second not in (None, first)


def test_ids_of_runs_grow_and_lie_by_time() -> None:
    ids = [new_run_id() for _ in range(10_000)]

    assert ids == sorted(set(ids))
    assert {one.version for one in ids} == {7}
    assert {one.variant for one in ids} == {ids[0].variant}


def test_ids_of_threads_begin_alike_and_are_found_again() -> None:
    flow = UUID(int=5)

    assert thread_id(flow, "s") == thread_id(flow, "s")
    assert thread_id(flow, "s") != thread_id(flow, "t")
    assert thread_id(flow, "s") != thread_id(flow, "s", salt="x")
    assert thread_id(flow, "s").version == 8
    assert thread_id(flow, "s").bytes[0] == 0xFF
