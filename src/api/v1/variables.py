"""Global variables of the user who asks."""

from uuid import UUID

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, RequestBody

from api.given import Given
from api.lists import Part
from api.problems import Refusal
from api.requests import Answers
from application.permissions import NotFoundError, person
from application.ports import Actor, Cause, Vault
from application.variables import (
    EmptyVariableError,
    NewVariable,
    VariableChange,
    Variables,
)
from domain.user.user import UnknownVariableError
from projections.variables.views import VariableRow, VariableViews


class VariableRead(msgspec.Struct, frozen=True, kw_only=True):
    """A variable as clients see it; the value of a credential is never shown."""

    id: UUID
    name: str
    type: str
    value: str | None
    default_fields: list[str]


class VariableController(Controller):
    """Commands go to `Variables`, questions to the view."""

    path = "/variables"
    tags = ("Variables",)

    @post("/", status_code=201)
    async def define(
        self,
        *,
        data: RequestBody[NewVariable],
        actor: Given[Actor],
        variables: Given[Variables],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> VariableRead:
        """Define a variable."""
        try:
            done = await variables.define(actor, data, cause=cause)
        except EmptyVariableError as empty:
            raise Refusal(400, f"Variable {empty.missing} cannot be empty") from None
        await answers.settle(done.position)
        return VariableRead(
            id=done.result,
            name=data.name,
            type=data.kind,
            value=data.value if data.kind == "Generic" else None,
            default_fields=data.default_fields or [],
        )

    @get("/")
    async def many(
        self,
        *,
        actor: Given[Actor],
        variable_views: Given[VariableViews],
        vault: Given[Vault],
        part: Given[Part],
    ) -> list[VariableRead]:
        """List one's variables."""
        owner = person(actor)
        found = await variable_views.of(owner, limit=part.limit, offset=part.offset)
        rows = part.told(found)
        values = await vault.open([row.secret for row in rows if _is_plain(row)])
        return [_read(row, values) for row in rows]

    @patch("/{variable_id:str}")
    async def change(
        self,
        *,
        variable_id: FromPath[UUID],
        data: RequestBody[VariableChange],
        actor: Given[Actor],
        variables: Given[Variables],
        variable_views: Given[VariableViews],
        vault: Given[Vault],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> VariableRead:
        """Change a variable."""
        done = await variables.change(actor, variable_id, data, cause=cause)
        await answers.settle(done.position)
        row = await variable_views.get(variable_id)
        if row is None:
            raise NotFoundError("variable", variable_id)
        values = await vault.open([row.secret] if _is_plain(row) else [])
        return _read(row, values)

    @delete("/{variable_id:str}", status_code=204, opt={"refuses": (500,)})
    async def remove(
        self,
        *,
        variable_id: FromPath[UUID],
        actor: Given[Actor],
        variables: Given[Variables],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> None:
        """Remove a variable."""
        try:
            done = await variables.remove(actor, variable_id, cause=cause)
        except (NotFoundError, UnknownVariableError):
            # Clients know an unknown variable as 500, which is kept for them.
            raise Refusal(500, f"{variable_id} variable not found.") from None
        await answers.settle(done.position)


def _is_plain(row: VariableRow) -> bool:
    return row.kind == "Generic"


def _read(row: VariableRow, values: dict[UUID, str]) -> VariableRead:
    return VariableRead(
        id=row.id,
        name=row.name,
        type=row.kind,
        value=values.get(row.secret) if _is_plain(row) else None,
        default_fields=row.default_fields,
    )
