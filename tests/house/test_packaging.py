"""Our seven import names are ours alone, and no file names one machine."""

import re
import subprocess
from importlib.metadata import entry_points, packages_distributions
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = "langbuilder-eventsourced"
NAMES = (
    "api",
    "application",
    "domain",
    "infrastructure",
    "langbuilder",
    "migrations",
    "projections",
)

# Folders that exist on one person's machine only: a home, a work place.
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:home|Users)/\w+/|(?<![\w./])/(?:root|work)/")


@pytest.mark.parametrize("name", NAMES)
def test_an_import_name_belongs_to_us_only(name: str) -> None:
    # An editable install says so in a .pth file, which names no packages.
    assert set(packages_distributions().get(name, [OURS])) == {OURS}
    assert Path(str(files(name))).is_relative_to(ROOT)


def test_there_is_one_command() -> None:
    (command,) = entry_points(group="console_scripts", name="langbuilder")

    assert command.value == "api.cli:main"


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("no git here to list the project's files")
    names = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in names if path.is_file() and path.name != "uv.lock"]


def test_no_file_names_a_place_of_one_machine() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): hits
        for path in tracked()
        if path != Path(__file__)
        and (hits := MACHINE_PATHS.findall(path.read_text("utf-8", errors="ignore")))
    }

    assert not found
