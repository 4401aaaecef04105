"""One kind of value turned into another."""

from typing import override

from application.ports.components import Invocation
from domain.run.values import Value
from infrastructure.components import fields
from infrastructure.components.builtin import Builtin, Node
from infrastructure.components.convert import message_of, record_of, table_of
from infrastructure.components.fields import Field

_KINDS = ("Message", "Data", "DataFrame")


class TypeConvert(Builtin):
    """A message, a record or a table as one of the others."""

    type = "TypeConverterComponent"
    category = "processing"

    @override
    def describe(self) -> Node:
        return fields.component(
            "TypeConverterComponent",
            "Type Convert",
            module="processing.converter.TypeConverterComponent",
            icon="repeat",
            description="Turns a message, a record or a table into one of the others.",
            fields=[
                fields.handle(
                    "input_data",
                    "Input",
                    _KINDS,
                    required=True,
                    info="A message, a record or a table.",
                ),
                fields.tab(
                    "output_type",
                    "Output Type",
                    _KINDS,
                    "Message",
                    real_time_refresh=True,
                    info="What it shall become.",
                ),
            ],
            outputs=[_output("Message")],
        )

    @override
    def has_output(self, name: str) -> bool:
        return name in {_output(kind)["name"] for kind in _KINDS}

    @override
    def outputs_now(self, node: Node) -> list[Node]:
        kind = node["template"]["output_type"]["value"]
        return [_output(kind if kind in _KINDS else "Message")]

    @override
    async def compute(self, output: str, call: Invocation) -> Value:
        value = self.given(call, "input_data")
        match output:
            case "data_output":
                return record_of(value)
            case "dataframe_output":
                return table_of(value)
            case _:
                return message_of(value)


def _output(kind: str) -> Field:
    word = kind.lower()
    return fields.output(f"{word}_output", f"{kind} Output", kind, f"convert_to_{word}")
