"""Values read as text, as records, as tables."""

import json

import pytest

from domain.run.values import Data, DataFrame, Live, Message, Value
from infrastructure.components.convert import (
    markdown,
    message_of,
    record_of,
    table_of,
    text_of,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("a", "a"),
        (Message(text="a"), "a"),
        (Data(data={"text": "a", "b": 1}), "a"),
        (Data(data={"b": "a"}, text_key="b"), "a"),
        (Data(data={"b": 1}), '{"b": 1}'),
        (Data(data={"b": 1}, default_value="none"), "none"),
        (Data(data={}), ""),
        (["a", Message(text="b"), Data(data={"text": "c"})], "a\nb\nc"),
        ({"a": ["ü", None]}, '{"a": ["ü", null]}'),
        (3, "3"),
        (True, "True"),
        (DataFrame(), ""),
        (Live(value=object(), type_name="LanguageModel"), "<LanguageModel>"),
    ],
)
def test_a_value_reads_as_text(value: Value, text: str) -> None:
    assert text_of(value) == text


def test_a_table_reads_as_markdown() -> None:
    table = DataFrame(rows=[{"a": 1, "b": "x"}, {"a": 2, "c": {"d": [1]}}])
    assert markdown(table).splitlines() == [
        "| a | b | c |",
        "| :--- | :--- | :--- |",
        "| 1 | x |  |",
        '| 2 |  | {"d": [1]} |',
    ]


def test_a_cell_cannot_break_its_table() -> None:
    text = markdown(DataFrame(rows=[{"a": "x|y\nz"}]))
    assert text.splitlines()[2] == r"| x\|y<br>z |"


def test_cleaning_drops_empty_rows_and_white_space() -> None:
    table = DataFrame(rows=[{"a": "x \n\n  y"}, {"a": ""}, {"a": None}])
    assert markdown(table, clean=True).splitlines()[2:] == ["| x y |"]
    assert len(markdown(table).splitlines()) == 5


def test_anything_becomes_a_record() -> None:
    assert record_of("a").data == {"text": "a"}
    assert record_of({"b": 1}).data == {"b": 1}
    assert record_of(Message(text="a", sender="User")).data["sender"] == "User"
    assert record_of(DataFrame(rows=[{"a": 1}])).data == {"results": [{"a": 1}]}
    assert record_of(["a"]).data == {"results": [{"text": "a"}]}


def test_anything_becomes_a_table_and_a_table_survives_the_way_back() -> None:
    table = DataFrame(rows=[{"a": 1}, {"a": 2}])
    assert table_of(record_of(table)) == table
    assert table_of("x").rows == [{"text": "x"}]
    assert table_of([Data(data={"a": 1}), Data(data={"a": 2})]) == table
    assert table_of(Message(text="m")).rows[0]["text"] == "m"
    assert table_of({"results": "no rows"}).rows == [{"results": "no rows"}]
    assert table_of(Data()).rows == []


def test_a_messages_row_is_json() -> None:
    assert json.loads(json.dumps(record_of(Message(text="a")).data))["text"] == "a"


def test_a_message_made_of_a_message_is_a_new_one() -> None:
    kept = Message(text="a", sender="User", id="x", timestamp="then")
    made = message_of(kept)
    assert (made.text, made.sender, made.id) == ("a", "User", None)
    assert kept.id == "x"
