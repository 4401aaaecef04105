"""Flows on other platforms: published, published anew, and withdrawn."""

from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from application.commands import Done, Turns, deciding_again
from application.flows import Flows
from application.permissions import Permissions
from application.ports import Actor, Cause, EventStore, Ownership, Saved
from application.ports.publishing import Model, Platform, Site
from application.repeats import once
from domain.flow.flow import Flow
from domain.kernel import DomainError


class NotASiteError(DomainError):
    """This is not the address of a platform: it is like https://chat.example.org."""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What a flow is called on the platform, and what of it did not work."""

    external_id: str
    model_name: str
    platform_url: str
    error: str | None = None


class Publishing:
    """
    Puts flows on a platform and takes them away.

    The platform is asked first, and what it did is recorded: asked again, it does
    the same once more. Its key passes through and is kept nowhere.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        ownership: Ownership,
        flows: Flows,
        platform: Platform,
    ) -> None:
        self._store = store
        self._permissions = Permissions(ownership)
        self._flows = flows
        self._platform = platform
        self._turns: Turns[UUID] = Turns()

    async def publish(
        self,
        actor: Actor,
        flow_id: UUID,
        site: Site,
        *,
        server: str,
        name: str | None = None,
        key: str | None = None,
        cause: Cause,
    ) -> Done[Published]:
        """Publish a flow of *actor*'s under *name*, or its own."""
        await self._permissions.require(actor, "flow", flow_id)
        place = Site(url_of(site.url), site.key)

        async def attempt() -> Done[Published]:
            flow = await self._flows.get(flow_id)
            flow.require_room(place.url)
            model = Model(
                external_id=external_id_of(flow_id),
                name=name or flow.name,
                description=flow.description or "",
                flow=str(flow_id),
                server=server,
                key=key,
            )
            error = await self._platform.put(place, model)
            published = Published(
                external_id=model.external_id,
                model_name=model.name,
                platform_url=place.url,
                error=error,
            )
            return await self._recorded(flow_id, published, cause)

        async with self._turns.of(flow_id):
            return await once(self._store, cause, again=_again, attempt=attempt)

    async def _recorded(
        self, flow_id: UUID, published: Published, cause: Cause
    ) -> Done[Published]:
        async def attempt() -> Done[Published]:
            flow = await self._flows.get(flow_id)
            flow.publish(
                platform=self._platform.name, **msgspec.structs.asdict(published)
            )
            return await self._saved(flow, published, cause)

        return await deciding_again(attempt)

    async def unpublish(
        self, actor: Actor, flow_id: UUID, site: Site, *, cause: Cause
    ) -> Done[Published]:
        """Take a flow of *actor*'s away from where it was published."""
        await self._permissions.require(actor, "flow", flow_id)
        place = Site(url_of(site.url), site.key)

        async def attempt() -> Done[Published]:
            flow = await self._flows.get(flow_id)
            external_id = flow.published_at(place.url)
            await self._platform.remove(place, external_id)

            async def recorded() -> Done[Published]:
                flow = await self._flows.get(flow_id)
                flow.unpublish(platform=self._platform.name, platform_url=place.url)
                gone = Published(
                    external_id=external_id,
                    model_name=flow.name,
                    platform_url=place.url,
                )
                return await self._saved(flow, gone, cause)

            return await deciding_again(recorded)

        async with self._turns.of(flow_id):
            return await once(self._store, cause, again=_again, attempt=attempt)

    async def _saved(
        self, flow: Flow, published: Published, cause: Cause
    ) -> Done[Published]:
        saved = await self._store.save(
            flow, cause=cause, answer=msgspec.json.encode(published)
        )
        return await _again(saved)


async def _again(saved: Saved) -> Done[Published]:
    published = msgspec.json.decode(saved.answer, type=Published)
    return Done(published, saved.position)


def external_id_of(flow_id: UUID) -> str:
    """Return what a flow is called on platforms: a name that programs can bear."""
    return f"langbuilder_{flow_id.hex}"


def url_of(text: str) -> str:
    """Return an address of a platform in the one form that stands for it."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise NotASiteError from None
    host = parts.hostname
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    if parts.scheme not in {"http", "https"} or not host or not plain:
        raise NotASiteError
    host = f"[{host}]" if ":" in host else host
    place = host if port is None else f"{host}:{port}"
    return f"{parts.scheme}://{place}{parts.path.rstrip('/')}"
