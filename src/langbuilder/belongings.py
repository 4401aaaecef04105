"""What else is yours: variables, API keys, and yourself."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec

from langbuilder.listing import whole
from langbuilder.models import ApiKey, Id, NewApiKey, User, Variable, id_of
from langbuilder.operations import Resource, operation
from langbuilder.steps import Steps
from langbuilder.wire import UNSET, at, command, get, given

type Unset = msgspec.UnsetType
type Scope = Literal["read", "write", "run", "admin"]
"""What a key may be used for."""


class Variables[D](Resource[D]):
    """Global variables, which fields of flows may name in place of a value."""

    @operation
    def list(self) -> Steps[tuple[Variable, ...]]:
        """Return all variables; the values of credentials are not told."""
        return (yield from self._whole(get("/api/v1/variables/"), Variable))

    @operation
    def create(
        self,
        name: str,
        value: str,
        *,
        type: Literal["Credential", "Generic"] = "Credential",  # noqa: A002 - the wire's word
        default_fields: Iterable[str] = (),
        key: str | None = None,
    ) -> Steps[Variable]:
        """
        Define a variable; a credential's value is never told again.

        *default_fields* are the inputs that the editor fills with it.
        """
        body = {
            "name": name,
            "value": value,
            "type": type,
            "default_fields": [*default_fields],
        }
        call = command("POST", "/api/v1/variables/", body, key=key)
        return (yield from self._send(call)).read(Variable)

    @operation
    def update(
        self,
        variable: Variable | Id,
        *,
        name: str | Unset = UNSET,
        value: str | Unset = UNSET,
        default_fields: Iterable[str] | Unset = UNSET,
        key: str | None = None,
    ) -> Steps[Variable]:
        """Change what is given of a variable."""
        fields = default_fields if default_fields is UNSET else [*default_fields]
        named = id_of(variable)
        body = given(id=named, name=name, value=value, default_fields=fields)
        path = at("/api/v1/variables/{}", named)
        answer = yield from self._send(command("PATCH", path, body, key=key))
        return answer.read(Variable)

    @operation
    def delete(self, variable: Variable | Id, *, key: str | None = None) -> Steps[None]:
        """Remove a variable."""
        path = at("/api/v1/variables/{}", id_of(variable))
        yield from self._send(command("DELETE", path, key=key))


class _Keys(msgspec.Struct, frozen=True):
    api_keys: tuple[ApiKey, ...] = ()


class ApiKeys[D](Resource[D]):
    """API keys, with which programs sign in."""

    @operation
    def list(self) -> Steps[tuple[ApiKey, ...]]:
        """Return all keys, each without the key itself."""
        call = get("/api/v1/api_key/")
        keys = whole(self._send, call, lambda answer: answer.read(_Keys).api_keys)
        return (yield from keys)

    @operation
    def create(
        self,
        name: str,
        *,
        scopes: Iterable[Scope] | None = None,
        expires_at: datetime | None = None,
    ) -> Steps[NewApiKey]:
        """
        Issue a key; only what this returns ever tells it.

        It may do what *scopes* say, without them all that you may, until *expires_at*.
        It is not tried again when no answer comes, for a repeat could not tell the
        key: look at the list then, and delete the one that nobody knows.
        """
        body = {
            "name": name,
            "scopes": None if scopes is None else [*scopes],
            "expires_at": expires_at,
        }
        call = command("POST", "/api/v1/api_key/", body, once=False)
        return (yield from self._send(call)).read(NewApiKey)

    @operation
    def update(
        self,
        api_key: ApiKey | NewApiKey | Id,
        *,
        name: str | Unset = UNSET,
        is_active: bool | Unset = UNSET,
        key: str | None = None,
    ) -> Steps[ApiKey]:
        """Call a key otherwise, or let it rest for a while."""
        body = given(name=name, is_active=is_active)
        path = at("/api/v1/api_key/{}", id_of(api_key))
        answer = yield from self._send(command("PATCH", path, body, key=key))
        return answer.read(ApiKey)

    @operation
    def delete(
        self, api_key: ApiKey | NewApiKey | Id, *, key: str | None = None
    ) -> Steps[None]:
        """Revoke a key."""
        path = at("/api/v1/api_key/{}", id_of(api_key))
        yield from self._send(command("DELETE", path, key=key))


class Users[D](Resource[D]):
    """Users."""

    @operation
    def me(self) -> Steps[User]:
        """Return who you are signed in as."""
        return (yield from self._send(get("/api/v1/users/whoami"))).read(User)
