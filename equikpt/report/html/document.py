"""One house style for pages that are a single file: no server, no network, light and dark."""

from __future__ import annotations

import base64
import json
from html import escape
from string import Template

import cv2
import numpy as np

JPEG_QUALITY = 72

STYLE = """
:root {
  --ground: #f6f6f4; --card: #ffffff; --text: #1c1c1a; --quiet: #5f5f5a; --line: #d9d9d4;
  --error: #b3261e; --warning: #8a5a00; --info: #1f5f99;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #161614; --card: #222220; --text: #ecece8; --quiet: #a3a39c; --line: #3a3a36;
    --error: #ff8a80; --warning: #ffc04d; --info: #8cc4ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 0 1rem 3rem; background: var(--ground); color: var(--text);
  font: 1rem/1.45 system-ui, sans-serif;
}
main { max-width: 80rem; margin: 0 auto; }
h1 { font-size: 1.4rem; margin: 1.2rem 0 .3rem; }
p { margin: .3rem 0; }
h1, p, summary { overflow-wrap: anywhere; }
details { margin: .6rem 0; }
summary { cursor: pointer; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: tabular-nums; }
label { max-width: 100%; }
select {
  min-width: 0; max-width: 100%; min-height: 2rem; font: inherit; color: inherit;
  background: var(--card); border: 1px solid var(--line); border-radius: .3rem;
}
.error { color: var(--error); } .warning { color: var(--warning); } .info { color: var(--info); }
.where { color: var(--quiet); }
"""

FRAME = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main>
<h1>$title</h1>
$body
</main>
<script>
"use strict";
$script
</script>
</body>
</html>
""")


def document(title: str, body: str, style: str, script: str) -> str:
    """A whole page in the house style.

    Args:
        title: Plain text; it is escaped.
        body: HTML below the title.
        style: CSS after :data:`STYLE`.
        script: JavaScript that runs when the page has been read.
    """
    return FRAME.substitute(title=escape(title), body=body, style=STYLE + style, script=script)


def embedded_json(element_id: str, value: object) -> str:
    r"""A value for the page's script, which reads ``JSON.parse`` of the element's ``textContent``.

    ``<`` becomes ``\u003c``, so that no text in it ends the element or begins a comment. NaN and
    infinity, which JSON lacks, are refused.

    Raises:
        ValueError: A number that is not finite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    escaped = text.replace("<", "\\u003c")
    return f'<script type="application/json" id="{element_id}">{escaped}</script>'


def jpeg_uri(picture: np.ndarray, quality: int = JPEG_QUALITY) -> str:
    """A picture (H, W, 3) uint8, BGR, as the ``src`` of an HTML image."""
    encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
