"""Each attack case that concerns what we have is tried, and the docs say where."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reference" / "attack-cases.md"
ROW = re.compile(r"^\| A(\d+) \| (.+) \| (.+) \|$", re.MULTILINE)
CONCERNED = {*range(1, 31), *range(32, 43), 50, 51, 53, 54, 57, 58, 62}
"""A31 is about OpenID Connect, which this server does not speak."""


def numbers(test: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[int]:
    yield from map(int, re.findall(r"_a(\d+)(?=_)", test.name))
    yield from map(int, re.findall(r"\bA(\d+)\b", ast.get_docstring(test) or ""))


@cache
def tried() -> dict[int, set[str]]:
    """Return in which files each case is tried."""
    found: defaultdict[int, set[str]] = defaultdict(set)
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(
                node, ast.FunctionDef | ast.AsyncFunctionDef
            ) and node.name.startswith("test_"):
                for number in numbers(node):
                    found[number].add(path.relative_to(TESTS).as_posix())
    return dict(found)


@cache
def told() -> dict[int, set[str]]:
    """Return where the page says that each case is tried."""
    rows = ROW.findall(PAGE.read_text("utf-8"))
    assert len(rows) == len({number for number, _, _ in rows}), "a case stands twice"
    return {int(n): set(re.findall(r"`([^`]+)`", where)) for n, _, where in rows}


@pytest.mark.parametrize("case", sorted(CONCERNED))
def test_a_case_is_tried_and_told_of(case: int) -> None:
    assert case in tried(), f"no test has a{case} in its name"
    assert case in told(), f"docs/reference/attack-cases.md does not tell of A{case}"


def test_where_the_page_says_a_case_is_tried_it_is() -> None:
    wrong = {
        f"A{case}": places - tried().get(case, set())
        for case, places in told().items()
        if not places or places - tried().get(case, set())
    }

    assert not wrong, f"no such tests (any more): {wrong}"


def test_the_page_tells_of_every_case_that_is_tried() -> None:
    assert set(tried()) <= set(told()), "docs/reference/attack-cases.md lacks cases"
