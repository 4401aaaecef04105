"""Records and tables as text, by a template or as they are."""

from collections.abc import Sequence
from typing import override

from application.ports.components import ComponentFailedError, Invocation
from domain.run.values import Data, DataFrame, Message, Value
from infrastructure.components import fields
from infrastructure.components.builtin import Builtin, Node, fill
from infrastructure.components.convert import columns_of, text_of, words_of
from infrastructure.components.fields import Field
from infrastructure.components.templates import InvalidTemplateError, variables


class Parser(Builtin):
    """A template filled once a record."""

    type = "ParserComponent"
    aliases: Sequence[str] = ("parser", "Parser")
    category = "processing"

    @override
    def describe(self) -> Node:
        return fields.component(
            "ParserComponent",
            "Parser",
            module="processing.parser.ParserComponent",
            icon="braces",
            description="Turns records into text.",
            fields=_fields(),
            outputs=[
                fields.output(
                    "parsed_text", "Parsed Text", "Message", "parse_combined_text"
                )
            ],
        )

    @override
    def adapt(self, node: Node, field: str) -> None:
        template = node["template"]
        stringify = template["mode"]["value"] == "Stringify"
        template["pattern"].update(show=not stringify, required=not stringify)
        if not stringify:
            template.pop("clean_data", None)
        elif "clean_data" not in template:
            template["clean_data"] = fields.boolean(
                "clean_data",
                "Clean Data",
                value=True,
                info="Drop a table's empty rows and needless white space.",
            )

    @override
    async def compute(self, output: str, call: Invocation) -> Value:
        value = self.given(call, "input_data")
        if self.given(call, "mode") == "Stringify":
            text = self._stringified(call, value)
        else:
            text = self._parsed(call, value)
        return Message(text=text, session_id=call.facts.session)

    def _stringified(self, call: Invocation, value: Value) -> str:
        clean = call.fields.get("clean_data")
        if isinstance(value, list):
            return self.text(call, "sep").join(
                self._stringified(call, item) for item in value
            )
        return text_of(value, clean=clean is None or bool(clean))

    def _parsed(self, call: Invocation, value: Value) -> str:
        pattern, separator = self.text(call, "pattern"), self.text(call, "sep")
        match value:
            case list():
                return separator.join(self._parsed(call, item) for item in value)
            case DataFrame():
                _check_columns(pattern, value)
                records = [Data(data=row, default_value="") for row in value.rows]
            case Data():
                records = [value]
            case dict():
                records = [Data(data=value)]
            case Message():
                records = [Data(data={"text": value.text})]
            case _:
                raise ComponentFailedError(
                    "The parser reads a table or records; connect one to "
                    "“Data or DataFrame”, or choose the mode “Stringify”"
                )
        return separator.join(
            fill(pattern, _words(pattern, record), field="Template")
            for record in records
        )


def _fields() -> list[Field]:
    return [
        fields.handle(
            "input_data",
            "Data or DataFrame",
            ["DataFrame", "Data"],
            required=True,
            info="A table, or one record.",
        ),
        fields.tab(
            "mode",
            "Mode",
            ["Parser", "Stringify"],
            "Parser",
            real_time_refresh=True,
            info="Fill a template, or take the records as they are.",
        ),
        fields.multiline(
            "pattern",
            "Template",
            "Text: {text}",
            required=True,
            dynamic=True,
            info="{Name} stands for the value in the column or under the key "
            "Name: “{Name} lives in {City}”.",
        ),
        fields.message_text(
            "sep",
            "Separator",
            "\n",
            advanced=True,
            info="What stands between two records.",
        ),
    ]


def _words(pattern: str, record: Data) -> dict[str, str]:
    """The record's words; what it lacks reads as its default value."""
    return {
        **dict.fromkeys(_asked(pattern), record.default_value or ""),
        **words_of(record),
    }


def _asked(pattern: str) -> list[str]:
    try:
        return variables(pattern)
    except InvalidTemplateError as error:
        raise ComponentFailedError(f"In “Template”: {error}") from None


def _check_columns(pattern: str, table: DataFrame) -> None:
    columns = columns_of(table.rows)
    missing = [name for name in _asked(pattern) if name not in columns]
    if missing and table.rows:
        raise ComponentFailedError(
            f"The table has no column {', '.join(missing)}; "
            f"it has {', '.join(columns) or 'none'}"
        )
