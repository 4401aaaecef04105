"""The how-to pages that talk to a server, carried out against one."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from api.cli import main
from tests.journeys.running import Running, signed_in

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^\$ (?:\.venv/bin/)?langbuilder (.+)$", re.MULTILINE)
PAGES = [
    page
    for page in sorted(DOCS.rglob("*.md"))
    if "LANGBUILDER_API_KEY" in "".join(BLOCK.findall(page.read_text("utf-8")))
]


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs_against_a_server(
    page: Path, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    with signed_in(server, server.username, server.password) as client:
        key = client.post("/api/v1/api_key/", json={"name": "docs"}).json()["api_key"]
    monkeypatch.setenv("LANGBUILDER_URL", server.address)
    monkeypatch.setenv("LANGBUILDER_API_KEY", key)

    names: dict[str, object] = {}
    try:
        for block in BLOCK.findall(page.read_text("utf-8")):
            exec(compile(block, page.name, "exec"), names)
    finally:
        names["client"].close()  # type: ignore[attr-defined]  # the page's own client


def commands() -> list[str]:
    found = [
        line
        for page in sorted(DOCS.rglob("*.md"))
        for line in CONSOLE.findall(page.read_text("utf-8"))
    ]
    return sorted({line.partition(" |")[0] for line in found})


@pytest.mark.parametrize("line", commands())
def test_a_command_in_the_docs_exists_with_its_options(line: str) -> None:
    words = re.sub(r'"\$\w+"|[0-9a-f-]{36}', "", line).split()

    # In this process: a start each would take a minute, and prove no more.
    told = CliRunner().invoke(main, [*words, "--help"])

    assert told.exit_code == 0, told.output
