"""Row changes: coalesced, in the order that matters, and never silently wrong."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Column, MetaData, Table, Text, Uuid

from projections.all import ALL
from projections.projector import Projector, log_of
from projections.rows import Change, Everywhere, Rows

THINGS = Table(
    "things",
    MetaData(),
    Column("id", Uuid, primary_key=True),
    Column("name", Text),
    Column("kind", Text),
)
ONE, TWO = UUID(int=1), UUID(int=2)


def changes(rows: Rows) -> list[Any]:
    """What is written, in order, row by row."""
    return [
        segment
        if isinstance(segment, Everywhere)
        else {key[0]: (c.kind, c.values) for key, c in segment[THINGS].items()}
        for segment in rows
    ]


def test_changes_of_a_row_put_in_the_same_batch_become_part_of_it() -> None:
    rows = Rows()
    rows.put(THINGS, id=ONE, name="a")
    rows.change(THINGS, ONE, name="b")
    rows.change(THINGS, ONE, kind="k")

    whole = {"id": ONE, "name": "b", "kind": "k"}
    assert changes(rows) == [{ONE: ("put", whole)}]
    assert rows.get(THINGS, ONE) == whole


def test_changes_of_an_older_row_are_one_change() -> None:
    rows = Rows()
    rows.change(THINGS, ONE, name="a", kind="k")
    rows.change(THINGS, ONE, name="b")

    assert changes(rows) == [{ONE: ("change", {"name": "b", "kind": "k"})}]
    assert rows.get(THINGS, ONE) is None


def test_a_removed_row_stays_removed_until_it_is_put_again() -> None:
    rows = Rows({THINGS: [{"id": ONE, "name": "old", "kind": None}]})
    rows.remove(THINGS, ONE)
    rows.change(THINGS, ONE, name="b")
    assert changes(rows) == [{ONE: ("remove", {})}]
    assert rows.get(THINGS, ONE) is None

    rows.put(THINGS, id=ONE, name="c")
    assert changes(rows) == [{ONE: ("put", {"id": ONE, "name": "c", "kind": None})}]


def test_a_change_by_condition_comes_after_what_was_asked_before() -> None:
    rows = Rows({THINGS: [{"id": TWO, "name": "two", "kind": "k"}]})
    rows.put(THINGS, id=ONE, name="one", kind="k")
    rows.change_where(THINGS, {"kind": "k"}, name="same")
    rows.change(THINGS, ONE, kind="l")

    put, everywhere, change = changes(rows)
    assert put == {ONE: ("put", {"id": ONE, "name": "one", "kind": "k"})}
    assert (everywhere.where, everywhere.values) == ({"kind": "k"}, {"name": "same"})
    assert change == {ONE: ("change", {"kind": "l"})}
    assert rows.get(THINGS, TWO) == {"id": TWO, "name": "same", "kind": "k"}
    rows.remove_where(THINGS, kind="k")
    assert rows.get(THINGS, TWO) is None
    assert rows.get(THINGS, ONE) is not None


def test_a_column_that_is_not_there_is_refused() -> None:
    rows = Rows()
    with pytest.raises(KeyError, match="colour"):
        rows.put(THINGS, id=ONE, colour="red")
    with pytest.raises(KeyError, match="colour"):
        rows.change(THINGS, ONE, colour="red")
    with pytest.raises(KeyError, match="colour"):
        rows.remove_where(THINGS, colour="red")
    assert list(rows) == []


def test_a_nul_is_replaced_in_texts() -> None:
    rows = Rows()
    rows.change(THINGS, ONE, name="a\0b")
    (segment,) = rows
    assert isinstance(segment, dict)
    assert segment[THINGS] == {
        (ONE,): Change(kind="change", values={"name": "a\ufffdb"})
    }


def test_every_projector_has_a_name_of_its_own_and_tables_of_its_own() -> None:
    names = [projector.name for projector in ALL]
    tables = [table for projector in ALL for table in projector.tables.tables]
    assert len(set(names)) == len(names)
    assert len(set(tables)) == len(tables)


def test_every_event_that_a_projector_reads_is_folded() -> None:
    assert {log_of(event) for projector in ALL for event in projector.reads} == {
        "core",
        "runs",
    }
    assert all(isinstance(projector, Projector) for projector in ALL)
