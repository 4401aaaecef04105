"""Every run ends: killed, stopped, lost, overtaken or cancelled, it ends once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from application.execution.keeper import LOST, STOPPING
from application.ports import Attached, ConcurrencyError, Lease, StoreBusyError
from application.runs import Limits
from domain.kernel import ContentRef
from domain.run.events import RunFailed
from domain.run.run import Run
from infrastructure.event_store.memory import MemoryEventStore
from tests.application.lab import Lab, Scripted, cause_of, names


def hanging() -> Scripted:
    speaker = Scripted("Speaker")
    speaker.hangs = asyncio.Event()
    return speaker


async def orphan(lab: Lab, *, cancelled: bool = False, expires: float = -1) -> UUID:
    """Leave a run behind as a killed server does."""
    content = await lab.contents.seal(lab.owner, b"{}")
    run = Run.request(
        lab.owner.__class__(int=99),
        flow=lab.owner,
        flow_name="left behind",
        owner=lab.owner,
        session="s",
        trigger="build",
        request=content.ref,
    )
    run.claim("worker-killed")
    if cancelled:
        run.request_cancel()
    lease = Lease(
        run.id, "worker-killed", 1, datetime.now(UTC) + timedelta(seconds=expires)
    )
    await lab.store.save(
        run,
        cause=cause_of(lab.actor),
        attached=Attached(leases=(lease,), contents=(content,)),
    )
    return run.id


async def test_a_killed_servers_run_ends_as_failed_and_says_so() -> None:
    lab = Lab()
    run = await orphan(lab)
    async with lab.open():
        frames = await lab.frames(run)
        last = (await lab.events(run))[-1]

    assert isinstance(last.event, RunFailed)
    assert last.event.reason == LOST
    assert "stopped in the middle" in (await lab.content(last))["message"]
    assert names(frames) == ["vertices_sorted", "error", "end"] or names(frames) == [
        "error",
        "end",
    ]
    assert lab.store.leases.rows == {}


async def test_a_killed_servers_run_that_was_to_be_cancelled_is_cancelled() -> None:
    lab = Lab()
    run = await orphan(lab, cancelled=True)
    async with lab.open():
        pass

    assert (await lab.tags(run))[-1] == "RunCancelled"


async def test_a_server_alone_on_its_store_does_not_wait_for_leases() -> None:
    lab = Lab(limits=Limits(lease=20.0))
    run = await orphan(lab, expires=19)
    await lab.runs.start()
    before = (await lab.run(run)).ended
    await lab.runs.stop()
    await lab.runs.start(alone=True)
    after = (await lab.run(run)).ended
    await lab.runs.stop()

    assert (before, after) == (False, True)


async def test_the_sweeper_ends_runs_whose_lease_runs_out_later() -> None:
    lab = Lab(limits=Limits(lease=0.2))
    async with lab.open():
        run = await orphan(lab, expires=0.1)
        async with asyncio.timeout(30):
            ended = await lab.runs.wait(run)

    assert ended.reason == LOST


async def test_a_long_run_keeps_its_lease() -> None:
    speaker = hanging()
    lab = Lab(speaker, limits=Limits(lease=0.8))
    other = Lab(shared=lab, limits=Limits(lease=0.8))
    async with lab.open(), other.open():
        run = await lab.ask(await lab.add(lab.spoken()), input_value="hello")
        await asyncio.sleep(1.0)
        assert speaker.hangs
        speaker.hangs.set()
        ended = await lab.runs.wait(run)

    assert ended.status == "succeeded"


async def test_a_run_that_begins_while_leases_are_renewed_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speaker = hanging()
    lab = Lab(speaker, limits=Limits(lease=0.8))
    renew = lab.store.leases.renew

    async def slowly(*asked: Any, **until: Any) -> set[UUID]:
        held = await renew(*asked, **until)
        await asyncio.sleep(0.4)
        return held

    monkeypatch.setattr(lab.store.leases, "renew", slowly)
    async with lab.open():
        flow = await lab.add(lab.spoken())
        runs = []
        for n in range(12):
            runs.append(await lab.ask(flow, input_value=str(n)))
            await asyncio.sleep(0.1)
        assert speaker.hangs
        speaker.hangs.set()
        ended = [await lab.runs.wait(run) for run in runs]

    assert {one.status for one in ended} == {"succeeded"}


async def test_a_stopping_server_ends_what_does_not_finish_in_time() -> None:
    speaker = hanging()
    lab = Lab(speaker, limits=Limits(grace=0.1))
    async with lab.open():
        run = await lab.ask(await lab.add(lab.spoken()), input_value="hello")
        await speaker.started.wait()
        reading = asyncio.create_task(lab.frames(run))
        await asyncio.sleep(0.05)
        await lab.runs.stop()
        frames = await reading
        flow = await lab.add(lab.echo())
        with pytest.raises(StoreBusyError):
            await lab.ask(flow)

    assert (await lab.run(run)).reason == STOPPING
    assert names(frames)[-2:] == ["error", "end"]
    assert lab.store.leases.rows == {}


async def test_a_stopping_server_lets_quick_runs_finish() -> None:
    speaker = hanging()
    lab = Lab(speaker, limits=Limits(grace=5.0))
    async with lab.open():
        run = await lab.ask(await lab.add(lab.spoken()), input_value="hello")
        assert speaker.hangs
        asyncio.get_running_loop().call_later(0.1, speaker.hangs.set)
        await lab.runs.stop()

    assert (await lab.run(run)).status == "succeeded"


async def test_a_run_that_another_worker_took_is_left_alone() -> None:
    speaker = hanging()
    lab = Lab(speaker)
    async with lab.open():
        run = await lab.ask(await lab.add(lab.spoken()), input_value="hello")
        await speaker.started.wait()
        taken = await lab.run(run)
        taken.claim("worker-quicker")
        await lab.store.save(taken, cause=cause_of(lab.actor))
        assert speaker.hangs
        speaker.hangs.set()
        async with asyncio.timeout(30):
            while lab.runs.going_on:
                await asyncio.sleep(0.01)

    assert (await lab.tags(run))[-1] == "RunClaimed"


async def test_a_run_that_ended_elsewhere_ends_once() -> None:
    speaker = hanging()
    lab = Lab(speaker)
    async with lab.open():
        run = await lab.ask(await lab.add(lab.spoken()), input_value="hello")
        await speaker.started.wait()
        ended = await lab.run(run)
        ended.fail("worker-lost")
        await lab.store.save(ended, cause=cause_of(lab.actor))
        assert speaker.hangs
        speaker.hangs.set()
        await lab.runs.wait(run)

    tags = await lab.tags(run)
    assert [tag for tag in tags if tag.startswith("RunFail")] == ["RunFailed"]
    assert tags[-1] == "RunFailed"


async def test_a_cancel_asked_for_elsewhere_stops_the_run_at_its_next_step() -> None:
    speaker = hanging()
    lab = Lab(speaker)
    async with lab.open():
        run = await lab.ask(await lab.add(lab.spoken()), input_value="hello")
        await speaker.started.wait()
        asked = await lab.run(run)
        asked.request_cancel()
        await lab.store.save(asked, cause=cause_of(lab.actor))
        assert speaker.hangs
        speaker.hangs.set()
        await lab.runs.wait(run)

    assert (await lab.tags(run))[-1] == "RunCancelled"


async def test_a_queued_run_waits_its_turn_and_can_be_cancelled() -> None:
    speaker = hanging()
    lab = Lab(speaker, limits=Limits(running=1, queued=2))
    async with lab.open():
        flow = await lab.add(lab.spoken())
        first = await lab.ask(flow, input_value="1")
        second = await lab.ask(flow, input_value="2")
        third = await lab.ask(flow, input_value="3")
        waiting = await lab.tags(second)
        assert await lab.runs.cancel(second, cause=cause_of(lab.actor))
        assert speaker.hangs
        speaker.hangs.set()
        ended = [await lab.runs.wait(run) for run in (first, third)]

    assert waiting == ["RunRequested"]
    assert (await lab.tags(second))[-1] == "RunCancelled"
    assert [one.status for one in ended] == ["succeeded", "succeeded"]


async def test_a_busy_store_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab()
    refusals = 3
    save = MemoryEventStore.save

    async def busy(self: MemoryEventStore, *aggregates, **more):  # type: ignore[no-untyped-def]
        nonlocal refusals
        if any(isinstance(one, Run) and one.version > 2 for one in aggregates):
            refusals -= 1
            if refusals >= 0:
                raise StoreBusyError
        return await save(self, *aggregates, **more)

    monkeypatch.setattr(MemoryEventStore, "save", busy)
    async with lab.open():
        flow = await lab.add(lab.echo())
        ended = await lab.runs.wait(await lab.ask(flow, input_value="hello"))

    assert ended.status == "succeeded"


async def test_an_error_of_the_server_ends_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = Lab()
    broken = True
    save = MemoryEventStore.save

    async def breaking(self: MemoryEventStore, *aggregates, **more):  # type: ignore[no-untyped-def]
        nonlocal broken
        if broken and any(isinstance(o, Run) and o.version > 3 for o in aggregates):
            broken = False
            raise OSError("the disk is gone")
        return await save(self, *aggregates, **more)

    monkeypatch.setattr(MemoryEventStore, "save", breaking)
    async with lab.open():
        run = await lab.ask(await lab.add(lab.echo()), input_value="hello")
        frames = await lab.frames(run)

    assert (await lab.run(run)).status == "failed"
    assert names(frames)[-2:] == ["error", "end"]
    assert "disk" not in str(frames)


async def test_a_request_that_the_store_refuses_leaves_its_slot() -> None:
    lab = Lab(limits=Limits(running=1, queued=0))
    async with lab.open():
        flow = await lab.add(lab.echo())
        save = lab.store.save

        async def refusing(*_, **__):  # type: ignore[no-untyped-def]
            raise ConcurrencyError

        lab.store.save = refusing  # type: ignore[method-assign]
        with pytest.raises(ConcurrencyError):
            await lab.ask(flow)
        lab.store.save = save  # type: ignore[method-assign]
        ended = await lab.runs.wait(await lab.ask(flow, input_value="x"))

    assert ended.status == "succeeded"


async def test_thirty_runs_at_once_all_end_and_nothing_is_left() -> None:
    lab = Lab(limits=Limits(running=8, queued=100))
    async with lab.open():
        flow = await lab.add(lab.echo())
        runs = await asyncio.gather(
            *(lab.ask(flow, input_value=str(n), session="one") for n in range(30))
        )
        ended = [await lab.runs.wait(run) for run in runs]

    assert {one.status for one in ended} == {"succeeded"}
    assert lab.runs.going_on == 0
    assert lab.store.leases.rows == {}
    assert len(lab.signals._channels) <= 1
    assert isinstance(ended[0].outputs, ContentRef | None)
    assert msgspec.structs.asdict(ended[0])["reason"] is None
