"""What all built-in components share: their schema, its changes, their build."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from typing import cast

from application.ports.components import ComponentFailedError, Invocation
from domain.kernel import Json
from domain.run.values import Value
from infrastructure.components import fields
from infrastructure.components.convert import text_of
from infrastructure.components.templates import InvalidTemplateError, filled

type Node = dict[str, Json]

AS_TOOL = "component_as_tool"


def fill(template: str, values: Mapping[str, str], *, field: str) -> str:
    """Fill *template*, or say what is wrong in the field people typed it into."""
    try:
        return filled(template, values)
    except InvalidTemplateError as error:
        raise ComponentFailedError(f"In “{field}”: {error}") from None


class Builtin(ABC):
    """A component that came with the server."""

    type: str
    aliases: Sequence[str] = ()
    category: str
    pure: bool = True

    @abstractmethod
    def describe(self) -> Node:
        """Build the component object as it is before anybody changed it."""

    @abstractmethod
    async def compute(self, output: str, call: Invocation) -> Value:
        """Compute one output."""

    def adapt(self, node: Node, field: str) -> None:  # noqa: B027 - most have none
        """Let *node* follow the change of *field*; most components need nothing."""

    def has_output(self, name: str) -> bool:
        """Tell whether some setting of this component has the output *name*."""
        return any(output["name"] == name for output in self._described["outputs"])

    @cached_property
    def _described(self) -> Node:
        return self.describe()

    def schema(self) -> Node:
        """Return a fresh copy of the component object."""
        return deepcopy(self._described)

    def default(self, field: str) -> Json:
        """Return what a field holds in a component nobody has touched."""
        known = self._described["template"].get(field)
        return deepcopy(known["value"]) if isinstance(known, dict) else None

    def given(self, call: Invocation, field: str) -> Value:
        """Return the value of *field* in this run, or its default."""
        value = call.fields.get(field)
        return self.default(field) if value is None else value

    def text(self, call: Invocation, field: str) -> str:
        return text_of(self.given(call, field))

    def updated(self, node: Mapping[str, Json], field: str, value: Json) -> Node:
        """
        Return *node* as it reads after the editor set *field* to *value*.

        Fields that an older flow lacks are added, and the outputs are those its
        settings call for, whatever the editor had.
        """
        changed: Node = {**self.schema(), **deepcopy(dict(node))}
        template = changed["template"]
        if field == "tool_mode":
            changed["tool_mode"] = bool(value)
        elif isinstance(template.get(field), dict):
            template[field]["value"] = value
        self.modernise(template)
        self.adapt(changed, field)
        changed["outputs"] = self.outputs_now(changed)
        self._follow_tool_mode(changed)
        changed["base_classes"] = fields.base_classes(changed["outputs"])
        return changed

    def modernise(self, template: Node) -> None:
        """Add what *template* lacks of today's fields."""
        for name, described in self.schema()["template"].items():
            known = template.setdefault(name, described)
            if isinstance(described, dict) and not isinstance(known, dict):
                template[name] = described
            elif isinstance(described, dict):
                known.setdefault("value", described["value"])

    def outputs_now(self, node: Node) -> list[Node]:  # noqa: ARG002 - others look
        """Return the outputs that *node*'s settings call for."""
        return cast("list[Node]", self.schema()["outputs"])

    def _follow_tool_mode(self, node: Node) -> None:
        if not node.get("tool_mode"):
            node["template"].pop("tools_metadata", None)
            return
        if "tools_metadata" not in node["template"]:
            node["template"]["tools_metadata"] = fields.tools_metadata(
                [self._tool(node, output) for output in node["outputs"]]
            )
        node["outputs"] = [fields.output(AS_TOOL, "Toolset", "Tool", "to_toolkit")]

    def _tool(self, node: Node, output: Node) -> Node:
        """Describe an output as an action an agent may take."""
        name, said = output["method"], node.get("description", "")
        inputs = {
            key: {"type": "string", "description": field.get("info", "")}
            for key, field in node["template"].items()
            if isinstance(field, dict) and field.get("tool_mode")
        }
        return {
            "name": name,
            "description": said,
            "tags": [name],
            "status": True,
            "display_name": output["display_name"],
            "display_description": said,
            "readonly": False,
            "args": inputs,
        }

    async def build(self, call: Invocation) -> Mapping[str, Value]:
        """Compute the wanted outputs by name, in order."""
        built: dict[str, Value] = {}
        for output in call.wanted:
            if output == AS_TOOL:
                raise ComponentFailedError(
                    f"{call.display_name} cannot be an agent's tool on this server; "
                    "switch its tool mode off"
                )
            if not self.has_output(output):
                raise ComponentFailedError(
                    f"{call.display_name} has no output “{output}”; "
                    "remove the edge and draw it again"
                )
            built[output] = await self.compute(output, call)
        return built
