"""Files that are no YAML, absent, or not what their schemas say."""

import shutil

import pytest

from calibpipe.core.exceptions import ConfigurationError, MissingInputError
from calibpipe.doctor.configuration import configuration_files, load_configuration


@pytest.fixture
def workflow(root, tmp_path):
    """A copy of the configuration."""
    shutil.copytree(root / "config", tmp_path / "config")
    return tmp_path


def test_shipped_files(root):
    config = load_configuration(root, [root / "config/demo.yaml"])
    assert config["dl0"] == {"source": "simulation", "blocks": []}
    assert config["meteo"]["files"]  # of config.yaml, below the overlay
    (found,) = configuration_files(root, config["sites"])
    assert found.what.startswith("5 files as their schemas say")


def test_overlay_with_a_misspelt_key(root, tmp_path):
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("nigths: ['2024-07-10']\n")
    with pytest.raises(ConfigurationError, match="nigths"):
        load_configuration(root, [overlay])
    overlay.write_text("nights: [2024-07-10]\n")  # YAML makes a date of it
    assert load_configuration(root, [overlay])["nights"] == ["2024-07-10"]


@pytest.mark.parametrize(
    ("text", "message"), [("nights: [", "is no YAML"), ("- a", "holds a list")]
)
def test_bad_yaml(root, tmp_path, text, message):
    overlay = tmp_path / "mine.yaml"
    overlay.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        load_configuration(root, [overlay])


def test_files_that_are_not_there(root, tmp_path):
    with pytest.raises(MissingInputError, match=r"mine\.yaml is not there"):
        load_configuration(root, [tmp_path / "mine.yaml"])
    with pytest.raises(MissingInputError, match="--workflow"):
        load_configuration(tmp_path, [])


def test_a_broken_file_of_a_tool_and_of_the_criteria(workflow):
    tool = workflow / "config/tools/verify.yaml"
    tool.write_text("Verify: {")
    with pytest.raises(ConfigurationError, match=r"verify\.yaml is no YAML"):
        list(configuration_files(workflow, []))
    tool.unlink()
    criteria = workflow / "config/criteria.yaml"
    criteria.write_text(criteria.read_text() + "\nnonsense: 1\n")
    with pytest.raises(ConfigurationError, match="nonsense"):
        list(configuration_files(workflow, []))
