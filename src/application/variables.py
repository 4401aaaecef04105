"""Global variables: values that flows name instead of holding them."""

from collections.abc import Callable
from typing import Annotated, Final, Literal
from uuid import UUID, uuid4

import msgspec
from msgspec import Meta

from application.commands import (
    Done,
    Turns,
    answer_of,
    deciding_again,
    ids_in,
)
from application.names import Name
from application.permissions import NotFoundError, Permissions, person
from application.ports import (
    Actor,
    Attached,
    Cause,
    EventStore,
    Owned,
    Ownership,
    Saved,
    Vault,
)
from application.repeats import once
from domain.kernel import DomainError
from domain.user.events import VariableKind
from domain.user.user import User

VALUE: Final = "variable"
MOST: Final = 1_000
"""Variables that one user may have at a time."""
LARGEST: Final = 1024 * 1024
"""Characters of a value."""

Value = Annotated[str, Meta(max_length=LARGEST)]
Fields = Annotated[list[Name], Meta(max_length=100)]


class EmptyVariableError(DomainError):
    """A variable has a name and a value."""

    def __init__(self, missing: str) -> None:
        super().__init__(missing)
        self.missing = missing


class TooManyVariablesError(DomainError):
    """A user has at most a thousand variables; remove some first."""


class NewVariable(msgspec.Struct, frozen=True, kw_only=True):
    """A variable as clients define it; some write its type without a capital."""

    name: Name
    value: Value
    type: VariableKind | Literal["generic", "credential"] | None = None
    default_fields: Fields | None = None

    @property
    def kind(self) -> VariableKind:
        """What it is to be; a credential unless it says otherwise."""
        return "Generic" if self.type in {"Generic", "generic"} else "Credential"


class VariableChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a variable is to be; absent and null fields stay as they are."""

    id: UUID
    name: Name | None = None
    value: Value | None = None
    default_fields: Fields | None = None


class Variables:
    """Load a user, let them decide about their variables, store it."""

    def __init__(
        self,
        store: EventStore,
        *,
        ownership: Ownership,
        vault: Vault,
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self._store = store
        self._permissions = Permissions(ownership)
        self._vault = vault
        self._new_id = new_id
        self._turns: Turns[UUID] = Turns()

    async def define(
        self, actor: Actor, new: NewVariable, *, cause: Cause
    ) -> Done[UUID]:
        """Define a variable under a name that *actor* does not use yet."""
        owner = person(actor)
        # One at a time, so that a request sent twice at once finds its own answer
        # and not a variable of that name.
        async with self._turns.of(owner):
            return await once(
                self._store,
                cause,
                again=_defined_before,
                attempt=lambda: self._define(owner, new, cause=cause),
            )

    async def _define(
        self, owner: UUID, new: NewVariable, *, cause: Cause
    ) -> Done[UUID]:
        refuse_empty(new.name, new.value)
        sealed = await self._vault.seal(owner, VALUE, new.value)
        variable = self._new_id()

        async def attempt() -> Done[UUID]:
            user = await self._store.load(User, owner)
            if len(user.variables) >= MOST:
                raise TooManyVariablesError
            user.define_variable(
                variable,
                name=new.name,
                kind=new.kind,
                secret=sealed.id,
                default_fields=tuple(new.default_fields or ()),
            )
            saved = await self._store.save(
                user,
                cause=cause,
                attached=Attached(
                    secrets=(sealed,), owned=(Owned(variable, "variable", owner),)
                ),
                answer=answer_of(variable),
            )
            return Done(variable, saved.position)

        return await deciding_again(attempt)

    async def change(
        self, actor: Actor, variable: UUID, change: VariableChange, *, cause: Cause
    ) -> Done[None]:
        """Let a variable have another name, value or default fields."""
        owned = await self._permissions.require(actor, "variable", variable)
        sealed = (
            await self._vault.seal(owned.owner, VALUE, change.value)
            if change.value
            else None
        )

        async def attempt() -> Done[None]:
            user = await self._store.load(User, owned.owner)
            known = user.variables.get(variable)
            if known is None:
                raise NotFoundError("variable", variable)
            user.change_variable(
                variable,
                name=change.name,
                secret=sealed.id if sealed else None,
                default_fields=change.default_fields,
            )
            attached = Attached(
                secrets=(sealed,) if sealed else (),
                destroyed=(known.secret,) if sealed else (),
            )
            saved = await self._store.save(user, cause=cause, attached=attached)
            return Done(None, saved.position)

        return await deciding_again(attempt)

    async def remove(self, actor: Actor, variable: UUID, *, cause: Cause) -> Done[None]:
        """Remove a variable and destroy its value."""
        owned = await self._permissions.require(actor, "variable", variable)

        async def attempt() -> Done[None]:
            user = await self._store.load(User, owned.owner)
            known = user.variables.get(variable)
            if known is None:
                raise NotFoundError("variable", variable)
            user.remove_variable(variable)
            saved = await self._store.save(
                user,
                cause=cause,
                attached=Attached(disowned=(variable,), destroyed=(known.secret,)),
            )
            return Done(None, saved.position)

        return await deciding_again(attempt)


def refuse_empty(name: str, value: str) -> None:
    """Refuse a variable without a name or a value, saying which is missing."""
    missing = [word for word, text in (("name", name), ("value", value)) if not text]
    if missing:
        raise EmptyVariableError(" and ".join(missing))


async def _defined_before(before: Saved) -> Done[UUID]:
    return Done(ids_in(before.answer)[0], before.position)
