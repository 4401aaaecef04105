"""Global variables at run time: the owner's own, then the server's environment."""

import re
from collections.abc import Collection, Mapping
from typing import Protocol
from uuid import UUID

import msgspec

from application.ports import EventStore, StreamNotFoundError, Vault
from domain.user.user import User

NAME = re.compile(r"[A-Z][A-Z0-9_]{1,127}")
OURS = re.compile(
    r"LANGBUILDER_|PG|POSTGRES|DATABASE|REDIS|VALKEY|AWS_|S3_|KUBERNETES_|LC_|LD_|PYTHON"
)
PRIVATE = re.compile(r"SECRET|PASSW|PRIVATE|CREDENTIAL|DSN|COOKIE|SESSION")
PLAIN = re.compile(r"PATH|HOME|USER|SHELL|PWD|HOSTNAME|LANG|TERM|LOGNAME|TMPDIR")


class Variable(msgspec.Struct, frozen=True):
    """What a variable's name stands for in one run."""

    value: str
    credential: bool = False


class VariableValues(Protocol):
    """The values of global variables; unknown names are left out."""

    async def named(
        self, owner: UUID, names: Collection[str]
    ) -> Mapping[str, Variable]: ...


class OwnersVariables:
    """
    A user's variables out of their stream, opened by the vault.

    With *environ*, a name that is not theirs falls back on the environment: only
    one that looks like a provider's, never what the server itself runs on.
    """

    def __init__(
        self,
        store: EventStore,
        vault: Vault,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._store = store
        self._vault = vault
        self._environ = environ or {}

    async def named(
        self, owner: UUID, names: Collection[str]
    ) -> Mapping[str, Variable]:
        """Return what *names* stand for, for *owner*."""
        if not names:
            return {}
        found = await self._own(owner, names)
        for name in names:
            if name not in found and lendable(name) and self._environ.get(name):
                found[name] = Variable(self._environ[name], credential=True)
        return found

    async def _own(self, owner: UUID, names: Collection[str]) -> dict[str, Variable]:
        try:
            user = await self._store.load(User, owner)
        except StreamNotFoundError:
            return {}
        wanted = [v for v in user.variables.values() if v.name in names]
        opened = await self._vault.open([variable.secret for variable in wanted])
        return {
            variable.name: Variable(
                opened[variable.secret], credential=variable.kind == "Credential"
            )
            for variable in wanted
            if variable.secret in opened
        }


def lendable(name: str) -> bool:
    """Tell whether the environment may answer for *name*."""
    return (
        NAME.fullmatch(name) is not None
        and OURS.match(name) is None
        and PRIVATE.search(name) is None
        and PLAIN.fullmatch(name) is None
    )
