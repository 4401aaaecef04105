"""Plain text into a flow, and out of it."""

from typing import override

from application.ports.components import Invocation
from domain.run.values import Message, Value
from infrastructure.components import fields
from infrastructure.components.builtin import Builtin, Node


class _Text(Builtin):
    category = "input_output"

    @override
    async def compute(self, output: str, call: Invocation) -> Value:
        return Message(
            text=self.text(call, "input_value"), session_id=call.facts.session
        )


class TextInput(_Text):
    """Text that somebody types in, or that a request brings."""

    type = "TextInput"

    @override
    def describe(self) -> Node:
        return fields.component(
            "TextInput",
            "Text Input",
            module="input_output.text.TextInputComponent",
            icon="type",
            description="Holds a text that other components read.",
            fields=[fields.multiline("input_value", "Text", info="The text.")],
            outputs=[fields.output("text", "Output Text", "Message", "text_response")],
        )


class TextOutput(_Text):
    """Text that a run answers with, outside the chat."""

    type = "TextOutput"

    @override
    def describe(self) -> Node:
        return fields.component(
            "TextOutput",
            "Text Output",
            module="input_output.text_output.TextOutputComponent",
            icon="type",
            description="Gives a text to whoever asked for the run.",
            fields=[fields.multiline("input_value", "Inputs", info="The text.")],
            outputs=[fields.output("text", "Output Text", "Message", "text_response")],
        )
