"""How callers of a project's tools prove who they are, as people say it and see it."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from application.ports import Attached, Sealed, Vault
from domain.flow.secrets import PLACEHOLDER
from domain.project.events import McpAccess
from domain.project.project import Project

KEY: Final = "mcp-access"
_SECRETS: Final = ("api_key", "password", "bearer_token", "oauth_client_secret")

type AuthType = Literal["none", "apikey", "basic", "bearer", "iam", "oauth"]
type Text = Annotated[str, Meta(max_length=4_096)]


class McpAuthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How callers prove who they are; a secret of ``********`` stays as it is."""

    auth_type: AuthType = "none"
    api_key: Text | None = None
    username: Text | None = None
    password: Text | None = None
    bearer_token: Text | None = None
    iam_endpoint: Text | None = None
    oauth_host: Text | None = None
    oauth_port: Text | None = None
    oauth_server_url: Text | None = None
    oauth_callback_path: Text | None = None
    oauth_client_id: Text | None = None
    oauth_client_secret: Text | None = None
    oauth_auth_url: Text | None = None
    oauth_token_url: Text | None = None
    oauth_mcp_scope: Text | None = None
    oauth_provider_scope: Text | None = None


type AskedSettings = McpAuthSettings | UnsetType | None
"""What somebody says of access: how, nothing at all, or that only they have it."""


class WantedAccess:
    """What somebody says of the access to a project, its secrets sealed."""

    def __init__(self, asked: AskedSettings, sealed: Mapping[str, Sealed]) -> None:
        self._asked = asked
        self._sealed = sealed

    def decide(self, project: Project) -> Attached:
        """Have *project* decide on it; return the secrets that come and go."""
        if self._asked is UNSET:
            return Attached()
        held = project.secrets
        project.configure_mcp_access(_access(self._asked, project, self._sealed))
        return Attached(
            secrets=tuple(self._sealed.values()),
            destroyed=tuple(ref for ref in held if ref not in project.secrets),
        )


async def wanted_access(
    asked: AskedSettings, *, owner: UUID, vault: Vault
) -> WantedAccess:
    """Seal what is secret in what *owner* says of access."""
    if asked is UNSET or asked is None:
        return WantedAccess(asked, {})
    given = {name: getattr(asked, name) for name in _SECRETS}
    sealed = {
        name: await vault.seal(owner, KEY, text)
        for name, text in given.items()
        if text and text != PLACEHOLDER
    }
    return WantedAccess(asked, sealed)


def auth_shown(access: McpAccess | None) -> dict[str, str | None] | None:
    """Return settings as people may see them: all keys, without the secrets."""
    if access is None:
        return None
    masked = dict.fromkeys(access.secrets, PLACEHOLDER)
    given = {"auth_type": access.auth_type} | access.plain | masked
    return {key: given.get(key) for key in McpAuthSettings.__struct_fields__}


def _access(
    asked: McpAuthSettings | None, project: Project, sealed: Mapping[str, Sealed]
) -> McpAccess | None:
    if asked is None:
        return None
    given = msgspec.structs.asdict(asked)
    before = project.mcp_access
    kept = {
        name: ref
        for name, ref in (before.secrets if before else {}).items()
        if given[name] == PLACEHOLDER
    }
    return McpAccess(
        auth_type=asked.auth_type,
        plain={
            name: text
            for name, text in given.items()
            if text and name != "auth_type" and name not in _SECRETS
        },
        secrets=kept | {name: one.id for name, one in sealed.items()},
    )
