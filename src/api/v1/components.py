"""Components: the catalogue, and how a field's change changes a component."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Protocol

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.params import RequestBody

from api.given import Given
from api.problems import Refusal
from api.security import READ
from api.source import SourceRead, looked_over
from api.zipping import packed
from application.ports.components import Component, UnknownComponentError
from domain.kernel import DomainError, Json

AnyRequest = Request[Any, Any, Any]

LONGEST_CODE: Final = 400_000  # characters; parsing keeps everybody else waiting


class Recognising(Protocol):
    """Finds the component that an editor means, without executing anything."""

    def recognised(self, code: str, template: Mapping[str, Json]) -> Component: ...


class ReadPrompt(Protocol):
    """Reads a prompt template for its variables."""

    def __call__(
        self,
        name: str,
        template: str,
        custom_fields: Mapping[str, Json] | None = None,
        frontend_node: Mapping[str, Json] | None = None,
    ) -> tuple[list[str], dict[str, Json] | None]: ...


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Source of a component, which is read and never executed."""

    code: str
    frontend_node: dict[str, Any] | None = None


class FieldChange(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a component that the editor set."""

    code: str
    template: dict[str, Any]
    field: str
    field_value: Any = None
    tool_mode: bool = False
    frontend_node: dict[str, Any] | None = None


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt template in the field ``name``."""

    name: str
    template: str
    custom_fields: dict[str, Any] | None = None
    frontend_node: dict[str, Any] | None = None


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """Code to be looked over."""

    code: Annotated[str, msgspec.Meta(max_length=LONGEST_CODE)]


class ComponentController(Controller):
    """Answers what the editor asks about components."""

    tags = ("Components",)
    opt = READ

    @get("/all")
    async def catalogue(
        self, *, request: AnyRequest, catalogue: Given[bytes]
    ) -> Response[bytes]:
        """List every component by category."""
        return await packed(request, catalogue)

    @post("/custom_component", status_code=200)
    async def custom_component(
        self,
        *,
        data: RequestBody[Source],
        components: Given[Recognising],
    ) -> dict[str, Any]:
        """Return the built-in component whose source this is; refuse all others."""
        try:
            component = components.recognised(data.code, {})
        except UnknownComponentError as unknown:
            raise _refused(unknown) from None
        return {"data": component.schema(), "type": component.type}

    @post("/custom_component/update", status_code=200)
    async def update(
        self,
        *,
        data: RequestBody[FieldChange],
        components: Given[Recognising],
    ) -> dict[str, Any]:
        """Return the component as it reads after a field was set."""
        try:
            component = components.recognised(data.code, data.template)
            node = (data.frontend_node or component.schema()) | {
                "template": data.template,
                "tool_mode": data.tool_mode,
            }
            return component.updated(node, data.field, data.field_value)
        except DomainError as refused:
            # A text: front ends put it into their notice as it is.
            raise Refusal(400, refused.sentence) from None

    @post("/validate/prompt", status_code=200)
    async def validate_prompt(
        self, *, data: RequestBody[Prompt], read_prompt: Given[ReadPrompt]
    ) -> dict[str, Any]:
        """Return the variables of a template, and the component with their fields."""
        try:
            variables, node = read_prompt(
                data.name, data.template, data.custom_fields, data.frontend_node
            )
        except DomainError as refused:
            # Clients know an unusable template as 500, which is kept for them.
            raise Refusal(500, refused.sentence) from None
        return {"input_variables": variables, "frontend_node": node}

    @post("/validate/code", status_code=200)
    async def validate_code(self, data: RequestBody[Code]) -> SourceRead:
        """Say what is wrong with code; it is neither executed nor imported from."""
        return looked_over(data.code)


def _refused(error: DomainError) -> Refusal:
    return Refusal(400, {"error": error.sentence, "traceback": ""})
