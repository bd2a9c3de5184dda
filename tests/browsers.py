"""A real browser for pages: Debian's Chromium, without network."""

import os
import shutil
import time
from pathlib import Path

import pytest

AXE = "axe.run(document, {resultTypes: ['violations']})"


def chromium():
    """Path of Chromium; where it is not installed tests are skipped, in CI they fail."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        reason = "no chromium: apt-get install chromium poppler-utils"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}; in CI a missing browser is a failure")
        pytest.skip(reason)
    return found


class Visit:
    """A page that is open, with all that it complained of and asked for.

    Parameters
    ----------
    browser : playwright.sync_api.Browser
    path : Path
        Of the HTML file.
    width : int
        Of the window, in pixels.
    options : dict
        Of the browser's context: ``color_scheme``, ``java_script_enabled``.
    """

    def __init__(self, browser, path, width=1440, **options):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, offline=True, **options
        )
        self.page = self.context.new_page()
        self.complaints, self.requests = [], []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.address = Path(path).as_uri()
        self.page.goto(self.address)
        self.width = width

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    @property
    def overflow(self):
        """Pixels by which the page is wider than the window."""
        return self.page.evaluate("document.documentElement.scrollWidth") - self.width

    def serious(self):
        """What axe-core finds that is serious or critical: rule, first element and why."""
        import axe_playwright_python

        script = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()
        self.page.evaluate(f"{script};undefined")
        return [
            "{id}: {nodes[0][html]} {nodes[0][failureSummary]}".format(**entry)
            for entry in self.page.evaluate(AXE)["violations"]
            if entry["impact"] in ("serious", "critical")
        ]

    def until(self, condition):
        """Wait until JavaScript says so; the page's policy forbids Playwright to do it there."""
        end = time.monotonic() + 5
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, f"never: {condition}"
            self.page.wait_for_timeout(20)

    def reached_by_keyboard(self):
        """Elements that Tab reaches, until the first one comes again."""
        self.page.evaluate("document.activeElement.blur()")
        reached = []
        while len(reached) < 300:
            self.page.keyboard.press("Tab")
            name = self.page.evaluate(
                "(() => {const e = document.activeElement; if (e === document.body) return null;"
                "const all = [...document.querySelectorAll('*')]; return all.indexOf(e);})()"
            )
            if name is None or name in reached[:-1]:
                return reached
            if name not in reached:  # a date has three parts that Tab goes through
                reached.append(name)
        raise AssertionError("Tab never comes back")

    def focusable(self):
        """Elements that ought to be reached: controls, links, summaries, drawings, tables."""
        return self.page.evaluate(
            "[...document.querySelectorAll('a[href],button,input,summary,[tabindex=\"0\"]')]"
            ".filter(e => e.checkVisibility())"
            ".map(e => [...document.querySelectorAll('*')].indexOf(e))"
        )
