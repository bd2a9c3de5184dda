"""The next version's part of the changelog is made of the files in changelog.d."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FILES = ("pyproject.toml", "CHANGELOG.md")


def built(folder: Path, *options: str) -> subprocess.CompletedProcess:
    """Result of towncrier in a folder."""
    command = [sys.executable, "-m", "towncrier", "build", "--version", "9.8.7", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """Copy of what towncrier reads."""
    for name in FILES:
        shutil.copy(root / name, tmp_path)
    shutil.copytree(root / "changelog.d", tmp_path / "changelog.d")
    return tmp_path


def test_fragments_come_before_what_was_there_under_the_new_version(copy: Path) -> None:
    before = (copy / "CHANGELOG.md").read_text()
    (copy / "changelog.d/+gains.result.md").write_text("Gains of pixels: 2 % smaller.\n")
    (copy / "changelog.d/77.added.md").write_text("`calibpipe-calculate-tides`.\n")
    result = built(copy, "--yes", "--date", "2027-01-31")
    assert result.returncode == 0, result.stderr
    head, marker, old = before.partition("<!-- towncrier release notes start -->\n")
    after = (copy / "CHANGELOG.md").read_text()
    new = after.removeprefix(head + marker).removesuffix(old)
    assert head + marker + new + old == after
    lines = [line for line in new.splitlines() if line]
    assert lines[:3] == [
        "## 9.8.7 (2027-01-31)",
        "### Numbers that change",
        "- Gains of pixels: 2 % smaller.",
    ]
    assert "- `calibpipe-calculate-tides`. (issue 77)" in lines
    assert [path.name for path in (copy / "changelog.d").iterdir()] == ["README.md"]


def test_draft_builds(root: Path) -> None:
    result = built(root, "--draft")
    assert result.returncode == 0, result.stderr


def test_name_that_is_no_fragment_is_refused(copy: Path) -> None:
    (copy / "changelog.d/gains.md").write_text("Lost.\n")
    result = built(copy, "--draft")
    assert result.returncode != 0
    assert "gains.md" in result.stderr + result.stdout
