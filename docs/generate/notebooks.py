"""Notebooks as pages: text, code, and the outputs that are kept in the file."""

from __future__ import annotations

import base64
import json
from pathlib import Path


def pages(folder: Path) -> dict[str, str | bytes]:
    """Turn each notebook into a page and its pictures, by the address on the site."""
    made: dict[str, str | bytes] = {}
    for path in sorted(folder.glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        parts = []
        for cell in cells:
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                parts.append(source)
                continue
            parts.append(f"```python\n{source}\n```")
            for output in cell.get("outputs", ()):
                text, picture = _shown(output)
                if picture:
                    uri = f"notebooks/{path.stem}_{len(made)}.png"
                    made[uri] = picture
                    parts.append(f"![output]({Path(uri).name})")
                elif text.strip():
                    parts.append(f"```text\n{text.rstrip()}\n```")
        parts.insert(1, f"*A notebook: `docs/notebooks/{path.name}`.*")
        made[f"notebooks/{path.stem}.md"] = "\n\n".join(parts) + "\n"
    return made


def _shown(output: dict) -> tuple[str, bytes]:
    """Return an output's text, and its picture as PNG where it has one."""
    data = output.get("data", {})
    if "image/png" in data:
        return "", base64.b64decode(data["image/png"])
    return "".join(output.get("text") or data.get("text/plain", "")), b""
