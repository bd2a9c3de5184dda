"""The commands of docs/first_night.md do what the page says, from an empty folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from docs.manual import ROOT, blocks, commands_in

BIN = Path(sys.executable).parent


def run(words, folder):
    """What a command of the page prints; its folder `demo` is another one here."""
    words = [f"{folder}{w[4:]}" if w == "demo" or w.startswith("demo/") else w for w in words]
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [BIN / words[0], *words[1:]],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.mark.slow
def test_the_first_night(tmp_path):
    """Without `make demo`, which CI runs, and what needs it."""
    page = ROOT / "docs/first_night.md"
    text, _, _ = page.read_text().partition("## Ten minutes")
    first = tmp_path / "page.md"
    first.write_text(text)
    commands = [c.words for block in blocks(first, "") for c in commands_in(block, page.name)]
    assert [words[0] for words in commands] == [
        "snakemake",
        "snakemake",
        "calibpipe-lookup",
        "calibpipe-list",
        "calibpipe-history",
    ]
    planned, _, found, listed, history = [run(words, tmp_path / "demo") for words in commands]
    assert "muon_rings" in planned or "simulated_dl0" in planned
    assert (tmp_path / "demo/results/CTAO-North/B/2024-07-10/report/index.html").is_file()
    for kind in ("atmosphere/macobac", "atmosphere/atmospheric_model"):
        assert kind in found
        assert kind in listed
    assert "certif" in history
