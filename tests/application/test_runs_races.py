"""What happens at the same time to one run: it ends once, and nothing is left."""

import asyncio
import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from application.execution.keeper import LOST, STOPPING
from application.ports import Saved
from application.runs import Limits
from domain.run.run import Run
from tests.application.lab import Lab, Scripted, cause_of
from tests.application.test_runs_ending import hanging, orphan

ENDS = {"RunSucceeded", "RunFailed", "RunCancelled"}


def slowed(lab: Lab, seconds: Callable[[Any], float]) -> None:
    """Let each save of a run take as long as *seconds* says, before or after it."""
    save = lab.store.save

    async def slowly(*aggregates: Any, **more: Any) -> Saved:
        runs = [one for one in aggregates if isinstance(one, Run)]
        pause = sum(seconds(run) for run in runs)
        early = random.random() < 0.5
        await asyncio.sleep(pause if early else 0)
        saved = await save(*aggregates, **more)
        await asyncio.sleep(0 if early else pause)
        return saved

    lab.store.save = slowly  # type: ignore[method-assign]


async def ends(lab: Lab, run: UUID) -> list[str]:
    return [tag for tag in await lab.tags(run) if tag in ENDS]


@pytest.mark.parametrize("tried", range(4))
async def test_a_run_asked_for_while_the_server_stops_ends_as_well(tried: int) -> None:
    speaker = hanging()
    lab = Lab(speaker, limits=Limits(grace=0.05))
    async with lab.open():
        flow = await lab.add(lab.spoken())
        slowed(lab, lambda run: 0.1 if run.stored_version == 0 else 0)
        asking = asyncio.create_task(lab.ask(flow, input_value="hello"))
        await asyncio.sleep(0.03)
        async with asyncio.timeout(30):
            await lab.runs.stop()
            run = await asking

    assert (await lab.run(run)).reason == STOPPING
    assert lab.runs.going_on == 0
    assert lab.store.leases.rows == {}


async def test_a_run_whose_turn_comes_while_it_is_recorded_is_claimed() -> None:
    lab = Lab(Scripted("Speaker"), limits=Limits(running=1, queued=1))
    async with lab.open():
        flow = await lab.add(lab.spoken())
        slowed(lab, lambda run: 0.05 if run.stored_version == 0 else 0)
        runs = await asyncio.gather(lab.ask(flow), lab.ask(flow))
        ended = [await lab.runs.wait(run) for run in runs]

    assert [one.status for one in ended] == ["succeeded", "succeeded"]
    for run in runs:
        assert (await lab.tags(run))[:2] == ["RunRequested", "RunClaimed"]


async def test_a_cancel_at_any_moment_leaves_one_end() -> None:
    lab = Lab(limits=Limits(running=4, queued=100))
    chance = random.Random(7)
    async with lab.open():
        flow = await lab.add(lab.echo())
        slowed(lab, lambda _: chance.random() * 0.01)

        async def cancelled() -> UUID:
            run = await lab.ask(flow, input_value="hello")
            await asyncio.sleep(chance.random() * 0.08)
            assert await lab.runs.cancel(run, cause=cause_of(lab.actor))
            return run

        runs = await asyncio.gather(*(cancelled() for _ in range(40)))
        found = [await ends(lab, run) for run in runs]

    assert {len(one) for one in found} == {1}
    assert {one[0] for one in found} == {"RunSucceeded", "RunCancelled"}
    assert lab.runs.going_on == 0
    assert lab.store.leases.rows == {}


async def test_a_stop_and_a_cancel_at_once_leave_one_end() -> None:
    speaker = hanging()
    lab = Lab(speaker, limits=Limits(grace=0.0))
    async with lab.open():
        run = await lab.ask(await lab.add(lab.spoken()), input_value="hello")
        await speaker.started.wait()
        await asyncio.gather(
            lab.runs.stop(), lab.runs.cancel(run, cause=cause_of(lab.actor))
        )

    assert len(await ends(lab, run)) == 1


async def test_a_run_that_cannot_be_swept_does_not_stand_in_others_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = Lab()
    broken, run = UUID(int=98), await orphan(lab)
    lab.store.leases.rows = {
        broken: lab.store.leases.rows[run].__class__(
            broken, "worker-killed", 1, lab.store.leases.rows[run].expires_at
        ),
        **lab.store.leases.rows,
    }
    load = lab.store.load

    async def loaded(kind: Any, aggregate: UUID, **more: Any) -> Any:
        if aggregate == broken:
            raise ValueError("this cannot be read")
        return await load(kind, aggregate, **more)

    monkeypatch.setattr(lab.store, "load", loaded)
    async with lab.open():
        assert (await lab.run(run)).reason == LOST

    assert set(lab.store.leases.rows) == {broken}


async def test_who_hangs_up_while_asking_leaves_a_run_that_ends() -> None:
    lab = Lab()
    async with lab.open():
        flow = await lab.add(lab.echo())
        slowed(lab, lambda run: 0.05 if run.stored_version == 0 else 0)
        asking = asyncio.create_task(lab.ask(flow, input_value="hello"))
        await asyncio.sleep(0.02)
        asking.cancel()
        async with asyncio.timeout(30):
            while not (log := await lab.store.read_log("runs", limit=1)):
                await asyncio.sleep(0.01)
        [run] = {one.stream for one in log}
        ended = await lab.runs.wait(run)

    assert ended.status == "succeeded"
    assert lab.store.leases.rows == {}
