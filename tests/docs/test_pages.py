"""Pages of the manual in a real browser: formulas are drawn, nothing is fetched from elsewhere."""

import re
import shutil

import pytest
from browsers import Visit
from docs.manual import PAGES
from mathml import mathml
from sphinx.cmd.build import build_main
from sphinx.errors import ExtensionError

PAGE = r"""# A page
Of $\sigma^2$ in a sentence and

$$g = \frac{V - V_{ped}}{F^2 S} - \frac{B^2 S}{F^2},\qquad S = \bar Q - \bar Q_{ped},
\qquad n_{pe} = S/g$$

| key | value | default | meaning |
|---|---|---|---|
| `a.very_long_key_of_the_configuration.that_goes_on` | number | `[1.0, 2.0]` | What it means. |

A path: `/dl1/monitoring/telescope/calibration/camera/pixel_statistics/flatfield_image/tel_NNN`.

```{toctree}
deeper
```
"""
CONTENTS = """# Contents

```{toctree}
page
```
"""


@pytest.fixture(scope="module")
def manual(root, tmp_path_factory):
    """A few pages, built with the configuration of the manual but for what is made of the code."""
    source = tmp_path_factory.mktemp("manual")
    for name in ("_static", "_extensions"):
        shutil.copytree(root / "docs" / name, source / name)
    text = (root / "docs/conf.py").read_text()
    assert '    "reference_pages",\n' in text
    (source / "conf.py").write_text(text.replace('    "reference_pages",\n', ""))
    (source / "index.md").write_text(CONTENTS.replace("page", "section"))
    (source / "section.md").write_text(CONTENTS)
    (source / "page.md").write_text(PAGE)
    (source / "deeper.md").write_text("# Deeper\n")
    built = source / "html"
    assert build_main(["-q", "-W", "-b", "html", str(source), str(built)]) == 0
    return built


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1440])
def test_a_page_is_quiet_and_fits(browser, manual, width, scheme):
    with Visit(browser, manual / "page.html", width, color_scheme=scheme) as visit:
        assert visit.overflow <= 0
        said = [text for text in visit.complaints if not text.startswith("[PST]")]  # of the theme
        assert not said
        assert not [url for url in visit.requests if not url.startswith(("file:", "data:"))]
        assert "stix-two-math" in " ".join(visit.requests)
        assert not visit.serious()
        assert visit.page.locator("summary").count() > 0  # of the sidebar: it has a name
        heights = visit.page.evaluate(
            "[...document.querySelectorAll('math')].map(e => e.getBoundingClientRect().height)"
        )
        line = 16 * 1.08
        assert len(heights) == 2
        assert heights[0] < 2 * line < heights[1]  # a fraction has two lines
        assert visit.page.locator("mfrac").count() == 2


def test_no_page_asks_for_a_file_of_elsewhere(manual):
    for page in manual.glob("*.html"):
        wanted = re.findall(r"<(?:script|img|link)[^>]*(?:src|href)=\"([^\"]+)", page.read_text())
        assert len(wanted) > 5
        assert not [address for address in wanted if re.match(r"(https?:)?//", address)]


def test_formula_in_mathml():
    assert mathml("x^2") == "<math><msup><mi>x</mi><mn>2</mn></msup></math>"
    assert 'display="block"' in mathml("x", display=True)
    assert mathml(r"a &= b \\ c &= d", display=True).count("<mtr>") == 2
    with pytest.raises(ExtensionError, match=r"formula '\\\\nothing x'"):
        mathml(r"\nothing x")


def test_formulas_on_their_own_lines_stand_alone():
    """A displayed formula within a paragraph would be taken for text."""
    found = 0
    for page in PAGES:
        lines = page.read_text().splitlines()
        inside = False
        for k, line in enumerate(lines):
            opens = not inside and line.lstrip().startswith("$$")
            if opens:
                assert not lines[k - 1].strip(), f"{page.name}:{k + 1}: no empty line before"
                found += 1
            inside ^= line.count("$$") % 2 == 1
            if (opens or "$$" in line) and not inside:
                assert not "".join(lines[k + 1 : k + 2]).strip(), f"{page.name}:{k + 1}: after"
    assert found >= 30
