"""Records become text, and one kind of value another."""

import pytest

from application.ports.components import ComponentFailedError
from domain.run.values import Data, DataFrame, Message
from infrastructure.components.parser import Parser
from infrastructure.components.type_convert import TypeConvert
from tests.components.calls import Call, build

PARSER, CONVERT = Parser(), TypeConvert()
PEOPLE = DataFrame(rows=[{"Name": "Ann", "Home Town": "Bern"}, {"Name": "Bo"}])


async def test_a_table_is_filled_in_row_by_row() -> None:
    said = await build(
        PARSER, input_data=PEOPLE, pattern="{Name} ({Home Town})", sep=" / "
    )
    assert said.text == "Ann (Bern) / Bo ()"


async def test_a_record_is_filled_in_once() -> None:
    record = Data(data={"n": 1, "deep": {"a": 2}}, default_value="?")
    said = await build(PARSER, input_data=record, pattern="{n} {deep} {missing}")
    assert said.text == '1 {"a": 2} ?'


async def test_the_usual_template_takes_the_text() -> None:
    records = [Data(data={"text": "a"}), Message(text="b"), {"text": "c"}]
    said = await build(PARSER, input_data=records)
    assert said.text == "Text: a\nText: b\nText: c"


async def test_a_missing_column_is_named() -> None:
    with pytest.raises(ComponentFailedError, match=r"no column Age; it has Name, Home"):
        await build(PARSER, input_data=PEOPLE, pattern="{Age}")


async def test_an_empty_table_is_no_text() -> None:
    assert (await build(PARSER, input_data=DataFrame(), pattern="{a}")).text == ""


@pytest.mark.parametrize("pattern", ["{text.__class__}", '{"a": 1}', "{0[0]}"])
async def test_a_template_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(ComponentFailedError, match="In “Template”"):
        await build(PARSER, input_data=PEOPLE, pattern=pattern)


async def test_a_number_cannot_be_parsed() -> None:
    with pytest.raises(ComponentFailedError, match="table or records"):
        await build(PARSER, input_data=3)


async def test_records_can_be_taken_as_they_are() -> None:
    said = await build(PARSER, input_data=PEOPLE, mode="Stringify")
    assert said.text.splitlines()[2] == "| Ann | Bern |"
    several = [Data(data={"text": "a"}), Data(data={"text": "b"})]
    joined = await build(PARSER, input_data=several, mode="Stringify", sep="-")
    assert joined.text == "a-b"


def test_stringify_hides_the_template_and_offers_cleaning() -> None:
    node = PARSER.updated(PARSER.schema(), "mode", "Stringify")
    assert not node["template"]["pattern"]["show"]
    assert not node["template"]["pattern"]["required"]
    assert node["template"]["clean_data"]["value"] is True
    back = PARSER.updated(node, "mode", "Parser")
    assert back["template"]["pattern"] == PARSER.schema()["template"]["pattern"]
    assert "clean_data" not in back["template"]


async def test_a_value_is_turned_into_what_the_output_says() -> None:
    message = Message(text="hi")
    wanted = ["message_output", "data_output", "dataframe_output"]
    built = await CONVERT.build(Call({"input_data": message}, wanted))
    text, record, table = built.values()
    assert isinstance(text, Message)
    assert isinstance(record, Data)
    assert isinstance(table, DataFrame)
    assert text.text == record.text == table.rows[0]["text"] == "hi"


async def test_a_table_becomes_a_message() -> None:
    said = await build(CONVERT, input_data=PEOPLE)
    assert said.text.startswith("| Name | Home Town |")


@pytest.mark.parametrize("kind", ["Message", "Data", "DataFrame"])
def test_the_output_type_changes_the_output(kind: str) -> None:
    node = CONVERT.updated(CONVERT.schema(), "output_type", kind)
    (output,) = node["outputs"]
    assert output["types"] == node["base_classes"] == [kind]
    assert output["name"] == f"{kind.lower()}_output"
    assert output["method"] == f"convert_to_{kind.lower()}"
