"""Python source that people wrote, looked over: parsed, never executed or imported."""

import ast
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from typing import Final

import msgspec

MOST_IMPORTS: Final = 200


class Found(msgspec.Struct, frozen=True):
    """What is wrong in one respect."""

    errors: list[str]


class SourceRead(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with source: modules it lacks, and what cannot be parsed."""

    imports: Found
    function: Found


def looked_over(code: str) -> SourceRead:
    """Return what is wrong with *code*, in Python's own words."""
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        return _told(function=[str(error)])
    except (ValueError, RecursionError, MemoryError) as error:
        return _told(function=[str(error) or "the code is nested too deeply"])
    wanted = sorted(set(_modules(tree)))
    missing = [name for name in wanted[:MOST_IMPORTS] if not _there(name)]
    return _told(imports=[f"No module named '{name}'" for name in missing])


def _told(
    *, imports: list[str] | None = None, function: list[str] | None = None
) -> SourceRead:
    return SourceRead(imports=Found(imports or []), function=Found(function or []))


def _modules(tree: ast.AST) -> Iterator[str]:
    """Name the packages that are imported, without what lies inside them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _there(name: str) -> bool:
    # Only looked for on the path: a name with a dot would have its parent executed.
    return name in sys.stdlib_module_names or PathFinder.find_spec(name) is not None
