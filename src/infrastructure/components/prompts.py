"""Prompts: a template whose ``{variables}`` are inlets of the vertex."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import override

from application.ports.components import Invocation
from domain.kernel import Json
from domain.run.values import Message, Value
from infrastructure.components import fields
from infrastructure.components.attachments import files_with
from infrastructure.components.builtin import Builtin, Node, fill
from infrastructure.components.convert import text_of
from infrastructure.components.templates import (
    InvalidTemplateError,
    checked_variables,
)


class PromptTemplate(Builtin):
    """A text put together from others."""

    type = "Prompt Template"
    aliases: Sequence[str] = ("Prompt",)
    category = "processing"

    @override
    def describe(self) -> Node:
        return fields.component(
            "Prompt Template",
            "Prompt Template",
            module="processing.prompt.PromptComponent",
            icon="braces",
            description="Puts texts together: every {name} becomes an inlet.",
            priority=0,
            fields=[
                fields.prompt("template", "Template"),
                fields.message_text(
                    "tool_placeholder",
                    "Tool Placeholder",
                    tool_mode=True,
                    advanced=True,
                    info="Lets the prompt be an agent's tool.",
                ),
            ],
            outputs=[fields.output("prompt", "Prompt", "Message", "build_prompt")],
        )

    @override
    def adapt(self, node: Node, field: str) -> None:
        try:
            changed = with_variables(node, "template", node["template"]["template"])
        except InvalidTemplateError:
            # Half-typed templates are normal while somebody writes; validate_prompt
            # and the run say what is wrong.
            return
        node.update(changed)

    @override
    async def compute(self, output: str, call: Invocation) -> Value:
        template = self.text(call, "template")
        values = {name: text_of(value) for name, value in call.fields.items()}
        text = fill(template, values, field="Template")
        files = [path for value in call.fields.values() for path in files_with(value)]
        return Message(
            text=text, session_id=call.facts.session, files=list(dict.fromkeys(files))
        )


def validate_prompt(
    name: str,
    template: str,
    custom_fields: Mapping[str, Json] | None = None,
    frontend_node: Mapping[str, Json] | None = None,
) -> tuple[list[str], dict[str, Json] | None]:
    """
    Read a prompt that was typed into the field *name*.

    Return its variables and the component object with one field a variable: new ones
    added, old ones kept with their values, those no longer named removed. Without an
    object there is nothing to fit, and the answer is empty, as LangBuilder's is.

    Raise `InvalidTemplateError` for what is no template.
    """
    found = checked_variables(template)
    if frontend_node is None:
        return [], None
    node = deepcopy(dict(frontend_node))
    if custom_fields:
        node["custom_fields"] = deepcopy(dict(custom_fields))
    template_of_node = _object(node.get("template"))
    field = _object(template_of_node.get(name))
    return found, with_variables(node, name, {**field, "value": template})


def with_variables(
    node: Mapping[str, Json], name: str, field: Mapping[str, Json]
) -> dict[str, Json]:
    """Return *node* with the inlets that the template in *field* calls for."""
    found = checked_variables(str(field.get("value") or ""))
    custom = dict(_object(node.get("custom_fields")))
    template = dict(_object(node.get("template")))
    if name in template:
        template[name] = dict(field)
    before = _names(custom.get(name)) or _drawn(template)
    custom[name] = found
    kept = {variable for names in custom.values() for variable in _names(names)}
    for gone in before:
        if gone not in kept:
            template.pop(gone, None)
    for variable in found:
        template.setdefault(variable, fields.prompt_variable(variable))
    return {**node, "template": template, "custom_fields": custom}


def _drawn(template: Mapping[str, Json]) -> list[str]:
    """The inlets that stem from variables, where nobody kept a list of them."""
    return [
        name
        for name, field in template.items()
        if isinstance(field, dict) and "field_type" in field
    ]


def _object(value: Json) -> Mapping[str, Json]:
    """What an editor sent as an object; anything else counts as nothing."""
    return value if isinstance(value, dict) else {}


def _names(value: Json) -> list[str]:
    if not isinstance(value, list):
        return []
    return [name for name in value if isinstance(name, str)]
