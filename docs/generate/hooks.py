"""Hooks of mkdocs: pages and pictures that are made from the code while the site is built."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from docs.generate import horse, house, notebooks, reference  # noqa: E402

MADE: dict[str, Callable[[], str]] = {
    "images/horse26.svg": horse.keypoints_svg,
    "images/errors.svg": horse.errors_svg,
    "images/oks.svg": horse.oks_svg,
    "images/house.svg": house.house_svg,
    "reference/commands.md": reference.commands_page,
    "reference/configs.md": reference.configs_page,
    "measurements.md": lambda: (REPO / "benchmarks" / "README.md").read_text(encoding="utf-8"),
    "changelog.md": lambda: (REPO / "CHANGELOG.md").read_text(encoding="utf-8"),
    "contributing.md": lambda: (REPO / "CONTRIBUTING.md").read_text(encoding="utf-8"),
}
TABLES: dict[str, Callable[[], str]] = {
    "{{ rooms }}": house.rooms_table,
    "{{ formats }}": reference.formats_table,
    "{{ correspondence }}": reference.correspondence_rows,
    "{{ recipe }}": reference.recipe_table,
}


def on_files(files, config):
    """Add what is made to what lies in ``docs/``."""
    from mkdocs.structure.files import File  # the tests of the pages do without

    pages: dict[str, str | bytes] = {uri: make() for uri, make in MADE.items()}
    pages |= reference.api_pages()
    pages |= notebooks.pages(REPO / "docs" / "notebooks")
    for uri, content in pages.items():
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown, page, config, files):
    """Fill in the tables that are read off the code."""
    for word, table in TABLES.items():
        if word in markdown:
            markdown = markdown.replace(word, table())
    return markdown
