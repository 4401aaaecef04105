"""Values that a user has named: where each lies, and how that came to be."""

from typing import assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET

from domain.user.events import (
    VariableChanged,
    VariableDefined,
    VariableKind,
    VariableRemoved,
)

type VariableEvent = VariableDefined | VariableChanged | VariableRemoved


class Variable(msgspec.Struct, frozen=True):
    """A value under a name, kept in the vault under ``secret``."""

    name: str
    kind: VariableKind
    secret: UUID
    default_fields: tuple[str, ...] = ()
    imported: bool = False


def apply(variables: dict[UUID, Variable], event: VariableEvent) -> None:
    """Bring *variables* up to what *event* says."""
    match event:
        case VariableDefined():
            variables[event.variable] = Variable(
                event.name,
                event.kind,
                event.secret,
                event.default_fields,
                event.imported,
            )
        case VariableChanged(variable=variable, name=name, secret=secret):
            known, fields = variables[variable], event.default_fields
            variables[variable] = Variable(
                known.name if name is UNSET else name,
                known.kind,
                known.secret if secret is UNSET else secret,
                known.default_fields if fields is UNSET else fields,
                known.imported if secret is UNSET else event.imported,
            )
        case VariableRemoved(variable=variable):
            del variables[variable]
        case _:
            assert_never(event)
