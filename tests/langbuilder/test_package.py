"""The package as people install it: typed, light, and nothing in it by accident."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, assert_type
from uuid import UUID

import pytest

import langbuilder
from langbuilder import AsyncClient, Client, Flow, Result, Run

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "python-client.md"
HEAVY = ("litestar", "langchain", "langchain_core", "sqlalchemy", "psycopg", "api")


def test_it_is_light_to_import() -> None:
    code = (
        "import sys, langbuilder;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )

    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert told.stdout.strip() == "[]"


def test_it_says_that_it_is_typed() -> None:
    assert files(langbuilder).joinpath("py.typed").is_file()


def test_what_it_offers_is_there_and_is_told_in_order() -> None:
    assert sorted(langbuilder.__all__) == langbuilder.__all__
    assert not [name for name in langbuilder.__all__ if not hasattr(langbuilder, name)]


@pytest.mark.parametrize("name", langbuilder.__all__)
def test_what_it_offers_is_documented(name: str) -> None:
    assert f"`{name}`" in REFERENCE.read_text("utf-8")


def test_methods_tell_what_they_are_for_to_who_asks_for_help() -> None:
    with Client("http://127.0.0.1:1") as client:
        assert "wait for its end" in (client.runs.run.__doc__ or "")
        assert client.runs.run.__name__ == "run"


if TYPE_CHECKING:

    async def what_type_checkers_see(client: Client, awaited: AsyncClient) -> None:
        assert_type(client.flows.get("x"), Flow)
        assert_type(await awaited.flows.get("x"), Flow)
        assert_type(client.runs.run("x", "hello", timeout=1), Result)
        assert_type(await awaited.runs.start("x"), UUID)
        assert_type(list(client.runs.list()), list[Run])
        assert_type([run async for run in awaited.runs.list()], list[Run])
        assert_type(list(client.runs.stream("x").text), list[str])
        with client.runs.stream("x") as stream:
            assert_type(stream.wait(), Result)
        async with awaited.runs.stream("x") as watched:
            assert_type(await watched.wait(), Result)
        client.flows.get(7)  # type: ignore[arg-type]  # an id is no number
        for _ in awaited.runs.list():  # type: ignore[misc]  # it has to be awaited
            pass
