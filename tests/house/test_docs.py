"""The docs are complete and current, their links lead somewhere, their code runs."""

import re
from pathlib import Path

import pytest

from domain.catalogue import EVENT_TYPES, tag_of
from infrastructure.settings import SETTINGS
from scripts import reference

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
NEEDS_A_SERVER = "LANGBUILDER_API_KEY"  # those run in tests/journeys


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def written() -> str:
    return "\n".join(p.read_text("utf-8") for p in (DOCS / "reference").glob("*.md"))


def test_the_index_lists_every_page() -> None:
    index = DOCS / "README.md"
    listed = {DOCS / target for target in LINK.findall(index.read_text("utf-8"))}
    numbered = {page for page in PAGES if page.parent.name == "decisions"}
    wanted = {page for page in PAGES if page.is_relative_to(DOCS)} - numbered

    assert wanted - {index} <= listed


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_a_reference_page_is_current_or_make_docs_writes_it(name: str) -> None:
    assert (reference.REFERENCE / name).read_text("utf-8") == reference.PAGES[name]()


@pytest.mark.parametrize("tag", sorted(tag_of(event) for event in EVENT_TYPES))
def test_every_event_is_documented(tag: str, written: str) -> None:
    assert f"`{tag}`" in written


@pytest.mark.parametrize("name", sorted(setting.env for setting in SETTINGS))
def test_every_setting_is_documented_with_a_sentence(name: str, written: str) -> None:
    (setting,) = (one for one in SETTINGS if one.env == name)

    assert f"`{name}`" in written
    assert setting.doc.endswith(".")


def test_every_refusal_is_documented_with_a_sentence(written: str) -> None:
    refusals = reference.domain_errors()

    assert refusals
    assert not [e.__name__ for e in refusals if f"`{reference.slug(e)}`" not in written]
    assert not [e.__name__ for e in refusals if not (e.__doc__ or "").strip()]


def test_a_slug_means_one_thing() -> None:
    refusals = set(reference.domain_errors())
    slugs = [reference.slug(error) for error in refusals]

    assert sorted(slugs) == sorted(set(slugs))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_link_leads_to_a_file(page: Path) -> None:
    targets = [t for t in LINK.findall(page.read_text("utf-8")) if ":" not in t]

    assert not [target for target in targets if not (page.parent / target).exists()]


def runs_alone(page: Path) -> bool:
    code = "".join(BLOCK.findall(page.read_text("utf-8")))
    return bool(code) and NEEDS_A_SERVER not in code


@pytest.mark.parametrize(
    "page", [page for page in PAGES if runs_alone(page)], ids=name_of
)
def test_the_code_of_a_page_runs_from_top_to_bottom(page: Path) -> None:
    names: dict[str, object] = {}
    for block in BLOCK.findall(page.read_text("utf-8")):
        exec(compile(block, name_of(page), "exec"), names)
