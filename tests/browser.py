"""Opens a page in a headless browser, at any width, and asks it what a reader would meet."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

COMMON = """
const visible = (element) => element.getBoundingClientRect().height > 0;
const change = (control, set) => {
  set(control);
  control.dispatchEvent(new Event("change", {bubbles: true}));
};
"""

FACTS = """
result.images = document.images.length;
result.broken = [...document.images].filter((i) => !(i.complete && i.naturalWidth)).length;
result.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
result.ground = getComputedStyle(document.body).backgroundColor;
result.width = innerWidth;
"""

# A window is 500 px wide at least, a frame within it as wide as it is told. Two files of one
# folder are strangers to one another: the page inside sends what it saw.
FRAME = """<!doctype html>
<html><body style="margin:0">
<script>
addEventListener("message", (event) => {{
  document.documentElement.dataset.result = event.data;
}});
</script>
<iframe src="page.html" style="border:0;width:{width_px}px;height:900px"></iframe>
</body></html>
"""


def open_page(folder: Path, text: str, probe: str, width_px: int, dark: bool = False):
    """What ``probe`` and :data:`FACTS` put into ``result``, and what the console said.

    The test is skipped where there is no browser.

    Args:
        folder: For the page and the browser's profile.
        text: The page.
        probe: JavaScript that runs when the page has loaded; it fills the object ``result`` and
            may call :data:`COMMON`.
        width_px: Of the page.
        dark: Whether the reader likes it dark.

    Returns:
        The result, a dict, and the console's lines, a list.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser to open the page in; install one of {', '.join(BROWSERS)}")
    script = (
        f'<script>addEventListener("load", () => {{ const result = {{}}; {COMMON} {probe} {FACTS}'
        'parent.postMessage(JSON.stringify(result), "*"); });</script>'
    )
    (folder / "page.html").write_text(text.replace("</body>", script + "</body>"), "utf-8")
    frame = folder / "frame.html"
    frame.write_text(FRAME.format(width_px=width_px), "utf-8")
    done = subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
            *(f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=10000"),
            *(["--blink-settings=preferredColorScheme=0"] if dark else []),
            *(f"--window-size={max(width_px, 500)},900", "--dump-dom", frame.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    seen = re.search(r'data-result="([^"]*)"', done.stdout)
    assert seen, done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(seen[1])), console
