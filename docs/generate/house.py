"""Picture of the package: its rooms and floors, as ``tests/test_architecture.py`` holds them."""

from __future__ import annotations

import ast
from html import escape
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
WIDTH, LEFT, FLOOR, GAP = 920, 20, 64, 10
COLORS = ("#e7edf6", "#e3f1e6", "#fdf0dc", "#f3e6f3")


def levels() -> tuple[tuple[str, ...], ...]:
    """Read the table of rooms from the test that holds it, the lowest floor first."""
    tree = ast.parse((REPO / "tests" / "test_architecture.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "LEVELS":
            return ast.literal_eval(node.value)
    raise RuntimeError("expected LEVELS in tests/test_architecture.py, found none: mend the name")


def summary(room: str) -> str:
    """First sentence of a room's docstring."""
    module = REPO / "equikpt" / room / "__init__.py"
    if not module.is_file():
        module = REPO / "equikpt" / f"{room}.py"
    text = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return text.split("\n")[0].replace("``", "").replace(":mod:", "").replace("`", "")


def rooms_table() -> str:
    """List the rooms as a Markdown table, the highest floor first."""
    rows = [
        f"| {len(levels()) - number} | `{room}` | {summary(room)} |"
        for number, rooms in enumerate(reversed(levels()))
        for room in rooms
    ]
    return "\n".join(["| floor | room | holds |", "| --- | --- | --- |", *rows])


def house_svg() -> str:
    """Draw the floors as a house: a room imports from below its own floor only."""
    floors = list(reversed(levels()))
    roof = 70
    height = roof + len(floors) * (FLOOR + GAP) + 46
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="system-ui, sans-serif" role="img"><title>Rooms and floors of the package'
        f'</title><rect width="{WIDTH}" height="{height}" fill="#fff"/>'
        f'<polygon points="{WIDTH / 2},6 {WIDTH - 4},{roof} 4,{roof}" fill="#5b4636"/>'
        f'<text x="{WIDTH / 2}" y="{roof - 16}" fill="#fff" font-size="19" text-anchor="middle">'
        "tools/, equikpt COMMAND</text>"
    ]
    for number, rooms in enumerate(floors):
        y = roof + GAP + number * (FLOOR + GAP)
        width = (WIDTH - 2 * LEFT - GAP * (len(rooms) - 1)) / len(rooms)
        for place, room in enumerate(rooms):
            x = LEFT + place * (width + GAP)
            parts.append(
                f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{FLOOR}" rx="4" '
                f'fill="{COLORS[number % len(COLORS)]}" stroke="#999"/>'
                f'<text x="{x + width / 2:.0f}" y="{y + 26}" font-size="18" font-weight="600" '
                f'text-anchor="middle">{room}</text>'
                f'<text x="{x + width / 2:.0f}" y="{y + 48}" font-size="12.5" fill="#444" '
                f'text-anchor="middle">{escape(_shortened(summary(room), int(width / 7.2)))}</text>'
            )
    parts.append(
        f'<text x="{WIDTH / 2}" y="{height - 16}" font-size="15" text-anchor="middle">'
        "a room imports from the floors below its own, never from beside or above</text></svg>\n"
    )
    return "".join(parts)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rsplit(" ", 1)[0] + " …"
