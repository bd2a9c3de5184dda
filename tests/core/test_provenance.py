import json
import subprocess
import sys

PROGRAM = """
import sys
from calibpipe.core.provenance import Provenance
Provenance().start_activity("test")
Provenance().add_input_file("x.ecsv", role="x", add_meta=False)
assert "ctapipe.io" not in sys.modules
(entry,) = Provenance().current_activity.input
assert entry["role"] == "x" and entry["url"].endswith("x.ecsv")
print(entry["reference_meta"])
"""


def test_registering_a_file_does_not_import_ctapipe_io():
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True
    )
    assert result.stdout.strip() == "None"


def test_packages_are_those_that_ctapipe_finds():
    """ctapipe parses all metadata; a fresh process has its own function."""
    program = "import json; from ctapipe.core.provenance import _get_python_packages as get; "
    program += "print(json.dumps(get()))"
    theirs = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    ours = subprocess.run(
        [sys.executable, "-c", f"import calibpipe.core.provenance; {program}"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(ours.stdout) == json.loads(theirs.stdout)
    assert len(json.loads(ours.stdout)) > 50
