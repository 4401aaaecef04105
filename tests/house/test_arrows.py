"""The arrows between the layers point inwards, and the domain has no clock."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOMAIN = sorted((ROOT / "src" / "domain").rglob("*.py"))
IMPURE = re.compile(r"datetime\.now|utcnow|time\.time\(|uuid4\(|uuid1\(|os\.environ")


@pytest.mark.slow
def test_the_import_contracts_are_kept() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(("src", "."))}
    lint = Path(sys.executable).with_name("lint-imports")

    result = subprocess.run(
        [lint, "--no-cache"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", DOMAIN, ids=lambda path: path.stem)
def test_the_domain_asks_neither_clock_nor_chance(path: Path) -> None:
    assert not IMPURE.findall(path.read_text(encoding="utf-8"))
