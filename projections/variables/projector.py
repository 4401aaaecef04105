"""Projects what has happened to people's variables onto ``variables``."""

from collections.abc import Sequence
from typing import Any, override

import msgspec
from msgspec import UNSET

from application.ports import Recorded
from domain.user.events import (
    UserErased,
    VariableChanged,
    VariableDefined,
    VariableRemoved,
)
from projections.projector import Projector, UnwantedEventError
from projections.rows import Rows
from projections.variables.tables import METADATA, VARIABLES


class VariablesProjector(Projector):
    """Which variables there are, and where in the vault their values lie."""

    name = "variables"
    version = 1
    tables = METADATA
    reads = (VariableDefined, VariableChanged, VariableRemoved, UserErased)

    @override
    def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
        for recorded in batch:
            match recorded.event:
                case VariableDefined() as event:
                    rows.put(
                        VARIABLES,
                        id=event.variable,
                        user_id=recorded.stream,
                        name=event.name,
                        kind=event.kind,
                        secret=event.secret,
                        default_fields=msgspec.json.encode(event.default_fields),
                        created_at=recorded.at,
                        updated_at=recorded.at,
                    )
                case VariableChanged() as event:
                    rows.change(
                        VARIABLES,
                        event.variable,
                        updated_at=recorded.at,
                        **_changed(event),
                    )
                case VariableRemoved(variable=variable):
                    rows.remove(VARIABLES, variable)
                case UserErased():
                    rows.remove_where(VARIABLES, user_id=recorded.stream)
                case unwanted:
                    raise UnwantedEventError(type(unwanted).__name__)


def _changed(event: VariableChanged) -> dict[str, Any]:
    values: dict[str, Any] = {"name": event.name, "secret": event.secret}
    if event.default_fields is not UNSET:
        values["default_fields"] = msgspec.json.encode(event.default_fields)
    return {name: value for name, value in values.items() if value is not UNSET}
