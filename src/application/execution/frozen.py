"""Results of frozen vertices: kept once built, and used again for the same inputs."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from math import isfinite
from typing import Any

import msgspec

from application.execution.call import Call
from application.execution.journal import on_firm_ground
from application.execution.keeper import system_cause
from application.execution.outcome import WIDEST_INTEGER
from application.execution.script import World
from application.ports import Attached, Claim
from domain.kernel import DomainError, Json
from domain.run.values import Data, DataFrame, Message, Value

log = logging.getLogger(__name__)

KIND = "frozen"
PASSING = ("id", "timestamp", "duration")
"""What tells apart two messages that say the same."""


class NotStorableError(Exception):
    """A value cannot be put into bytes: a model, a tool."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a frozen vertex came to, and the digest of what it came from."""

    inputs: str
    outputs: dict[str, Json]
    stopped: list[str] = []


class Frozen:
    """
    The last result of each frozen vertex, by flow, vertex and inputs.

    Results are no events: a claim names the content, and the next result takes its
    place. They save work and nothing else, so one that is lost is built again.
    """

    def __init__(self, world: World) -> None:
        self._store = world.store
        self._claims = world.claims
        self._contents = world.contents

    async def of(
        self, call: Call, build: Callable[[], Awaitable[Mapping[str, Value]]]
    ) -> Mapping[str, Value]:
        """Return what *call* came to before, or have it built and keep that."""
        with on_firm_ground():
            inputs = await self._digest(call)
            kept = None if inputs is None else await self._kept(call, inputs)
        if kept is not None:
            call.frozen = True
            call.stopped += kept.stopped
            return {name: _thawed(value) for name, value in kept.outputs.items()}
        outputs = await build()
        if inputs is not None:
            with on_firm_ground():
                await self._keep(call, inputs, outputs)
        return outputs

    async def _digest(self, call: Call) -> str | None:
        """Return the keyed digest of what *call* is given, if it can be put down."""
        try:
            given = [
                [name, _storable(value, passing=False)]
                for name, value in sorted(call.fields.items())
            ]
        except NotStorableError:
            return None
        asked = _encoded([call.type, given])
        return (await self._contents.seal(call.facts.owner, asked)).ref.digest

    async def _kept(self, call: Call, inputs: str) -> Kept | None:
        holder = await self._claims.holder(KIND, _key(call))
        if holder is None:
            return None
        found = (await self._contents.open([holder])).get(holder)
        if found is None:
            return None
        kept = msgspec.json.decode(found, type=Kept)
        fits = kept.inputs == inputs and {*call.wanted} <= kept.outputs.keys()
        return kept if fits else None

    async def _keep(
        self, call: Call, inputs: str, outputs: Mapping[str, Value]
    ) -> None:
        try:
            stored = {name: _storable(value) for name, value in outputs.items()}
            kept = _encoded(Kept(inputs=inputs, outputs=stored, stopped=call.stopped))
        except NotStorableError:
            return
        content = await self._contents.seal(call.facts.owner, kept)
        key = _key(call)
        before = await self._claims.holder(KIND, key)
        attached = Attached(
            claims=(Claim(KIND, key, content.ref.id),),
            released=(Claim(KIND, key, before),) if before else (),
            contents=(content,),
            forgotten=(before,) if before else (),
        )
        try:
            await self._store.save(cause=system_cause(), attached=attached)
        except DomainError:  # another run keeps its own just now, or the store is full
            log.info("a frozen result of %s was not kept", key, exc_info=True)


def _key(call: Call) -> str:
    return f"{call.facts.flow}/{call.vertex}"


def _encoded(value: Kept | list[Json]) -> bytes:
    try:
        return msgspec.json.encode(value, order="deterministic")
    except (TypeError, ValueError, OverflowError) as error:
        raise NotStorableError from error


def _storable(value: Value, *, passing: bool = True) -> list[Json]:
    """Return *value* as JSON that tells its kind; without `PASSING` to compare it."""
    match value:
        case list() | tuple():
            return ["list", [_storable(item, passing=passing) for item in value]]
        case Mapping():
            items = value.items()
            return ["object", {k: _storable(v, passing=passing) for k, v in items}]
        case Message():
            said = msgspec.structs.asdict(value)
            left_out = () if passing else PASSING
            return ["message", {k: said[k] for k in said if k not in left_out}]
        case Data(data=data):
            held = _storable(data, passing=passing)
            return ["data", [held, value.text_key, value.default_value]]
        case DataFrame(rows=rows):
            return ["table", _storable(rows, passing=passing)]
        case _:
            return ["is", _plain(value)]


def _plain(value: Value) -> Json:
    """Return what JSON carries as it is."""
    match value:
        case None | bool() | str():
            return value
        case int() if value.bit_length() < WIDEST_INTEGER:
            return value
        case float() if isfinite(value):
            return value
        case _:
            raise NotStorableError(type(value).__name__)


def _thawed(stored: list[Json]) -> Value:
    kind, held = stored
    match kind:
        case "list":
            return [_thawed(item) for item in held]
        case "object":
            return {key: _thawed(item) for key, item in held.items()}
        case "message":
            return msgspec.convert(held, Message)
        case "data":
            data, text_key, default = held
            record = msgspec.convert(_thawed(data), dict[str, Any])
            return Data(data=record, text_key=text_key, default_value=default)
        case "table":
            return DataFrame(rows=msgspec.convert(_thawed(held), list[dict[str, Any]]))
        case _:
            return held
