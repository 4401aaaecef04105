"""OpenWebUI by its functions: one pipe for each flow that is published there."""

from collections.abc import Sequence
from typing import Any, Final, override

import httpx
import msgspec

from application.ports.publishing import (
    Model,
    Platform,
    PlatformAwayError,
    PlatformRefusedError,
    Site,
)
from infrastructure.components.guard import GuardedTransport
from infrastructure.open_web_ui.pipe import program

TIMEOUT: Final = httpx.Timeout(15.0, connect=5.0)
LARGEST: Final = 8 * 1024 * 1024
"""Bytes of an answer that are read, and no more."""
FUNCTIONS: Final = "/api/v1/functions"


class Function(msgspec.Struct, frozen=True):
    """A function as OpenWebUI lists it, less what does not matter here."""

    id: str
    is_active: bool = False


class OpenWebUi(Platform):
    """
    Publishes by the functions API, with the key of an administrator there.

    Addresses come from people, so they are guarded: none may lead into a private
    network unless the operator allows that host. Redirects are not followed.
    """

    name = "openwebui"

    def __init__(self, *, allowed_hosts: Sequence[str] = ()) -> None:
        self._allowed_hosts = tuple(allowed_hosts)

    @override
    async def put(self, site: Site, model: Model) -> str | None:
        async with self._client(site) as client:
            known = {one.id: one for one in await self._functions(client)}
            path = f"/id/{model.external_id}"
            there = known.get(model.external_id)
            body = _function(model)
            made = await self._ask(
                client, "POST", f"{path}/update" if there else "/create", json=body
            )
            active = _active(made) if there is None else there.is_active
            try:
                if model.key is not None:
                    valves = {
                        "LANGBUILDER_URL": model.server,
                        "LANGBUILDER_API_KEY": model.key,
                    }
                    await self._ask(
                        client, "POST", f"{path}/valves/update", json=valves
                    )
                if not active:
                    await self._ask(client, "POST", f"{path}/toggle")
            except (PlatformAwayError, PlatformRefusedError) as refused:
                return f"It is there, but not ready: {refused.sentence}"
        return None

    @override
    async def remove(self, site: Site, external_id: str) -> None:
        async with self._client(site) as client:
            known = {one.id for one in await self._functions(client)}
            if external_id in known:
                await self._ask(client, "DELETE", f"/id/{external_id}/delete")

    def _client(self, site: Site) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=site.url + FUNCTIONS,
            headers={"Authorization": f"Bearer {site.key}"},
            transport=GuardedTransport(self._allowed_hosts),
            timeout=TIMEOUT,
            follow_redirects=False,
            trust_env=False,
        )

    async def _functions(self, client: httpx.AsyncClient) -> list[Function]:
        answer = await self._ask(client, "GET", "/")
        try:
            return msgspec.json.decode(answer, type=list[Function])
        except msgspec.DecodeError:
            raise PlatformRefusedError("it does not answer like OpenWebUI") from None

    async def _ask(
        self, client: httpx.AsyncClient, method: str, path: str, *, json: Any = None
    ) -> bytes:
        try:
            async with client.stream(method, path, json=json) as answer:
                body = await _read(answer)
        except (httpx.HTTPError, httpx.InvalidURL) as failed:
            # Its text may hold the address; its kind says enough.
            raise PlatformAwayError(type(failed).__name__) from None
        if not answer.is_success:
            raise PlatformRefusedError(f"it answers with {answer.status_code}")
        return body


async def _read(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > LARGEST:
            raise PlatformRefusedError("it answers with more than is read")
    return bytes(body)


def _function(model: Model) -> dict[str, Any]:
    return {
        "id": model.external_id,
        "name": model.name,
        "content": program(model),
        "meta": {"description": model.description or model.name, "manifest": {}},
    }


def _active(made: bytes) -> bool:
    try:
        return msgspec.json.decode(made, type=Function).is_active
    except msgspec.DecodeError:
        return False
