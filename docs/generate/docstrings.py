"""Docstrings as Markdown: doctests become code blocks, references to names become code."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|obj):`~?([^`]+)`")


class DocstringsToMarkdown(griffe.Extension):
    """Rewrite each docstring before mkdocstrings reads it."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = to_markdown(obj.docstring.value)


def to_markdown(text: str) -> str:
    r"""Fence the doctests of a docstring, and write its references to names as code.

    >>> to_markdown(">>> 1 + 1\n2")
    '```pycon\n>>> 1 + 1\n2\n```'
    >>> to_markdown("See :func:`~a.b`.")
    'See `a.b`.'
    """
    lines: list[str] = []
    indent = ""
    is_open = False
    for line in text.splitlines():
        if not is_open and line.lstrip().startswith(">>> "):
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(f"{indent}```pycon")
            is_open = True
        elif is_open and not line.strip():
            lines.append(f"{indent}```")
            is_open = False
        lines.append(line if is_open else ROLE.sub(r"`\1`", line))
    return "\n".join([*lines, f"{indent}```"] if is_open else lines)
