"""No module over 400 lines and no function over 40: rot begins where nobody counts."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "projections", "migrations", "tests", "scripts", "benchmarks")
MODULE, FUNCTION = 400, 40

# Longer than the rule, and why that is better here.
LONG_MODULES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}

MODULES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> dict[str, int]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        f"{name_of(path)}::{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_there_are_modules_to_count() -> None:
    assert MODULES


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_and_its_functions_are_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    long = {name: size for name, size in functions(path).items() if size > FUNCTION}

    assert lines <= MODULE or name_of(path) in LONG_MODULES
    assert not long.keys() - LONG_FUNCTIONS.keys(), long


def test_every_exception_is_still_needed() -> None:
    sizes = {
        name_of(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in MODULES
    }
    lengths = {name: size for path in MODULES for name, size in functions(path).items()}

    assert not [name for name in LONG_MODULES if sizes.get(name, 0) <= MODULE]
    assert not [name for name in LONG_FUNCTIONS if lengths.get(name, 0) <= FUNCTION]
