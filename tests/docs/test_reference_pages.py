"""Pages that are made of the code and the configuration."""

import re

import pytest
import yaml
from ctapipe.core import Tool, ToolConfigurationError, traits
from markdown_text import code, escaped, table
from product_reference import product_pages
from reference_pages import write_pages
from settings_reference import keys, settings_pages, settings_table
from tool_reference import default_of, domain, entry_points, kind_of_value, tool_class, tool_pages

from calibpipe.core.columns import declared

SCHEMA = {
    "type": "object",
    "properties": {
        "nights": {"description": "Evenings.", "type": "array", "items": {"type": "string"}},
        "dl0": {
            "type": "object",
            "properties": {"source": {"description": "From.", "enum": ["files", "simulation"]}},
        },
        "sets": {
            "description": "Runs.",
            "type": "array",
            "items": {
                "type": "object",
                "required": ["site"],
                "properties": {"site": {"description": "Where.", "type": "string"}},
            },
        },
    },
}


@pytest.fixture(scope="module")
def pages(root):
    return tool_pages(root) | settings_pages(root)


def test_keys_of_a_schema_with_their_defaults():
    defaults = {"nights": ["2024-07-10"], "dl0": {"source": "files"}, "sets": []}
    assert [(name, default) for name, _, default in keys(SCHEMA, value=defaults)] == [
        ("nights", ["2024-07-10"]),
        ("dl0.source", "files"),
        ("sets", []),
        ("sets[].site", None),
    ]
    lines = settings_table(SCHEMA, defaults).splitlines()
    assert lines[3] == "| `dl0.source` | `files`, `simulation` | `files` | From. |"
    assert lines[4] == "| `sets` | list: {site: …} |  | Runs. |"


@pytest.mark.parametrize("name", ["config", "site", "overrides", "pixel_overrides"])
def test_every_key_of_the_configuration_says_what_it_means(root, name):
    schema = yaml.safe_load((root / f"config/schemas/{name}.schema.yaml").read_text())
    found = list(keys(schema))
    assert len(found) > 8
    assert not [key for key, part, _ in found if len(part.get("description", "")) < 5]


def test_every_default_of_the_configuration_is_on_its_page(root, pages):
    config = yaml.safe_load((root / "config/config.yaml").read_text())
    page = pages["configuration.md"]
    for key, value in config.items():
        names = [f"{key}.{name}" for name in value] if isinstance(value, dict) else [key]
        for name in names:
            assert f"| `{name}` |" in page
    assert "`cache/meteo`" in page


def test_every_limit_is_on_its_page(root, pages):
    criteria = yaml.safe_load((root / "config/criteria.yaml").read_text())["criteria"]
    for number in criteria:
        assert f"| {number} |" in pages["criteria.md"]
    assert (
        "| CAM-01 | internal | `pedestal_residual` | -0.2 to 0.2 noise | counts |"
        in (pages["criteria.md"])
    )


def test_links_to_limits_lead_to_headings(pages):
    headings = re.findall(r"^## (.*)$", pages["criteria.md"], re.MULTILINE)
    anchors = {heading.replace("/", "") for heading in headings}
    linked = set(re.findall(r"criteria\.md#([\w-]+)", pages["kinds.md"]))
    assert len(linked) > 15
    assert linked <= anchors


def test_every_tool_has_its_page_and_its_place(root, pages):
    for name in entry_points(root):
        assert f"# {name}\n" in pages[f"tools/{name}.md"]
        assert pages["tools.md"].count(f"[{name}](tools/{name}.md)") == 1


def test_page_of_a_tool(pages):
    page = pages["tools/calibpipe-lookup.md"]
    assert "| `-a, --archive` | path | **required** | Folder of the archive |" in page
    assert "| `--scale` | `utc`, `tai` | `utc` |" in page
    assert "calibpipe-lookup --archive archive --kind camera/coefficients" in page
    rings = pages["tools/calibpipe-calculate-muon-rings.md"]
    assert (
        "| `min_impact` | number, by telescope | `[[type, '*', 0.1], [type, MST_*, 0.45]]`" in rings
    )
    assert "| `max_impact` | number, by telescope | `0.9` |" in rings
    assert "  min_containment: 0.9\n" in rings  # as shipped


def test_every_option_and_setting_has_help(pages):
    for name, page in pages.items():
        if name.startswith("tools/"):
            rows = re.findall(r"^\| `.*\| *(.*?) \|$", page, re.MULTILINE)
            assert rows, name
            assert all(len(text) > 2 for text in rows), name


@pytest.mark.parametrize(
    ("trait", "words", "default"),
    [
        (traits.Int(3, min=1), "whole number from 1", "`3`"),
        (traits.Float(0.5, min=0, max=1), "number from 0 to 1", "`0.5`"),
        (traits.Bool(False), "yes or no", "`false`"),
        (traits.Unicode(""), "text", ""),
        (traits.CaselessStrEnum(["B", "C"], "C"), "`B`, `C`", "`C`"),
        (traits.List(traits.Float()), "list: number", ""),
        (traits.FloatTelescopeParameter(default_value=2.5), "number, by telescope", "`2.5`"),
    ],
)
def test_values_and_defaults_in_words(trait, words, default):
    assert kind_of_value(trait) == words
    assert default_of(trait) == default


def test_a_tool_without_a_place_is_an_error():
    with pytest.raises(ToolConfigurationError, match="calibpipe-brew-coffee has no place"):
        domain("calibpipe-brew-coffee")


def test_a_module_without_its_tool_is_an_error():
    with pytest.raises(ToolConfigurationError, match="has 0 Tools named calibpipe-other"):
        tool_class("calibpipe-other", "calibpipe.tools.lookup")
    assert issubclass(tool_class("calibpipe-lookup", "calibpipe.tools.lookup"), Tool)


def test_text_for_markdown():
    assert escaped("a*b <c>\n `x|y` $5") == r"a\*b \<c\> `x\|y` \$5"
    assert code("a|b") == r"`a\|b`"
    assert code("") == ""
    assert table(["x"], [["1"]]) == "| x |\n| --- |\n| 1 |\n"


def test_pages_are_written_once_and_old_ones_removed(root, tmp_path):
    (tmp_path / "tools").mkdir()
    gone = tmp_path / "tools/calibpipe-gone.md"
    gone.write_text("# gone\n")
    write_pages(root, tmp_path)
    page = tmp_path / "tools.md"
    before = page.stat().st_mtime_ns
    write_pages(root, tmp_path)
    assert not gone.exists()
    assert page.stat().st_mtime_ns == before  # Sphinx reads what is newer
    modules = {path.stem for path in (root / "calibpipe/camera").glob("*.py")} - {"__init__"}
    text = (tmp_path / "package/camera.md").read_text()
    assert {f"calibpipe.camera.{name}" for name in modules} == set(
        re.findall(r"automodule:: (\S+)", text)
    )


def test_every_declared_column_is_on_its_page():
    pages = product_pages()
    for kind, tables in declared().items():
        page = pages[f"columns/{kind.partition('/')[0]}.md"]
        assert f"## {kind}\n" in page
        assert f"#{kind.replace('/', '')})" in pages["columns.md"]
        for table_rule in tables.values():
            for name in table_rule.columns:
                assert f"| `{name.replace('*', '{wavelength}')}` |" in page
    assert (
        "| `gain` | float (n_channels, n_pixels) |  | ADC counts of a photoelectron |"
        in (pages["columns/camera.md"])
    )
    assert (
        "`/dl1/monitoring/telescope/pointing/star_tracking/tel_NNN`: one row is"
        in (pages["columns/pointing.md"])
    )
