"""What LangBuilder itself says and what its flows hold, where it lies beside us."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_SHARED = Path(__file__).parents[2] / ".." / "shared"
_COMPONENTS = _SHARED / "contracts" / "langbuilder" / "components.jsonl"
_FLOWS = _SHARED / "flows"


def their_components() -> dict[str, dict[str, Any]]:
    if not _COMPONENTS.exists():
        pytest.skip(
            "LangBuilder's component schema does not lie beside this repository"
        )
    lines = _COMPONENTS.read_text(encoding="utf-8").splitlines()
    return {component["type"]: component for component in map(json.loads, lines)}


def their_nodes() -> list[tuple[str, dict[str, Any]]]:
    """Every ``data`` of every node of every real flow, by the flow's name."""
    if not _FLOWS.exists():
        pytest.skip("real flows do not lie beside this repository")
    return [
        (file.stem, data)
        for file in sorted(_FLOWS.glob("*.json"))
        for data in _nodes(json.loads(file.read_text(encoding="utf-8"))["data"])
    ]


def _nodes(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for node in document["nodes"]:
        if node["type"] == "noteNode":
            continue
        yield node["data"]
        inner = node["data"]["node"].get("flow")
        if inner:
            yield from _nodes(inner["data"])
