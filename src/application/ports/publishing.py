"""A platform on which flows are published, in the application's words."""

from typing import Protocol

import msgspec

from domain.kernel import DomainError


class PlatformAwayError(DomainError):
    """The platform cannot be reached."""


class PlatformRefusedError(DomainError):
    """The platform refuses this."""


class Site(msgspec.Struct, frozen=True):
    """Somebody's platform, and their key to it: used once and never kept."""

    url: str
    key: str


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """
    A flow as people of the platform see it.

    ``flow`` is what our OpenAI-compatible address at ``server`` knows it by;
    ``key`` is an API key of ours for the platform to use, if one was given.
    """

    external_id: str
    name: str
    description: str
    flow: str
    server: str
    key: str | None = None


class Platform(Protocol):
    """Where models are put, and taken away again."""

    @property
    def name(self) -> str: ...

    async def put(self, site: Site, model: Model) -> str | None:
        """
        Put *model* there, in place of what it was before.

        Return what did not work of it, if anything. Raise `PlatformAwayError` or
        `PlatformRefusedError` where nothing did.
        """
        ...

    async def remove(self, site: Site, external_id: str) -> None:
        """Take away what *external_id* names; nothing happens if it is gone."""
        ...
