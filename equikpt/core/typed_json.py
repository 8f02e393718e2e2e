"""Read JSON that somebody else wrote, and name each value of another type than its record has.

A record is a ``msgspec.Struct``: fields that it does not have may be anything. msgspec, because
100,000 annotations take it 0.9 s, and pydantic or cattrs 1.9 s.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

SHOWN_ERRORS = 5
SHOWN_CHARACTERS = 40

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An integer that arrays can hold."""

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
}
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_json(path: Path, what: str) -> Any:
    """Read a JSON file in UTF-8, UTF-16 or UTF-32.

    Args:
        path: The file.
        what: What it should be, for messages.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It is empty or no JSON, a key occurs twice in one object, or a text is none.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; give {what}")
    with path.open("rb") as file:
        encoding = json.detect_encoding(file.read(4))
    try:
        # Not by way of bytes: of 100,000 annotations one copy of the text is enough.
        text = path.read_text(encoding=encoding)
    except UnicodeError as error:
        raise ValueError(f"{path} is not JSON ({error}); give {what}") from error
    if not text or text.isspace():
        raise ValueError(f"{path} is empty; export it again, or give {what}")
    return parse_json(text, str(path), what)


def parse_json(text: str, where: str, what: str) -> Any:
    """Parse JSON.

    Args:
        text: JSON.
        where: What messages call it.
        what: What it should be, for messages.

    Raises:
        ValueError: As :func:`read_json`.
    """
    try:
        content = json.loads(text, object_pairs_hook=_object)
        if _SURROGATE.search(text):  # half a character, which no file or terminal takes
            json.dumps(content, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError(f"{where} is nested too deeply to be labels; give {what}") from error
    except ValueError as error:
        raise ValueError(f"{where} is not JSON ({error}); give {what}") from error
    return content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {_shown(twice)} occurs twice in one object")
    return content


def refuse_wrong_types(content: Any, record: Any, where: str, what: str) -> None:
    """Stop at values of another type than the record's.

    Args:
        content: Parsed JSON.
        record: A ``msgspec.Struct``, or a list or dict of them.
        where: What messages call the content.
        what: What it should be, for messages.

    Raises:
        ValueError: There are some; the first ones are named.
    """
    wrong = list(islice(wrong_types(content, record), SHOWN_ERRORS + 1))
    if wrong:
        more = " - and more" if len(wrong) > SHOWN_ERRORS else ""
        told = " - ".join(wrong[:SHOWN_ERRORS])
        raise ValueError(f"{where}: {told}{more}; correct it, or give {what}")


def wrong_types(content: Any, record: Any, path: str = "") -> Iterator[str]:
    """Find each value of another type than its record has.

    Args:
        content: Parsed JSON.
        record: As :func:`refuse_wrong_types`.
        path: Of the content in its file.

    Yields:
        A sentence each: ``annotations[12].keypoints[3]: expected a number, found 'a'``.
    """
    try:
        msgspec.convert(content, record)
        return
    except msgspec.ValidationError as error:
        told = str(error)
    inside = False
    for member, kind, place in _members(content, record, path):
        for sentence in wrong_types(member, kind, place):
            inside = True
            yield sentence
    if not inside:
        yield f"{path or 'the whole'}: {_expectation(told)}, found {_shown(content)}"


def _members(content: Any, record: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    """The parts of a container with their records and paths."""
    origin, inner = get_origin(record), get_args(record)
    if origin in (Union, types.UnionType):
        for kind in inner:
            yield from _members(content, kind, path)
    elif origin is list and isinstance(content, list):
        for index, member in enumerate(content):
            yield member, inner[0], f"{path}[{index}]"
    elif origin is dict and isinstance(content, dict):
        for key, member in content.items():
            yield member, inner[1], f"{path}[{_shown(key)}]"
    elif isinstance(record, type) and issubclass(record, msgspec.Struct):
        for field in msgspec.structs.fields(record):
            if isinstance(content, dict) and field.name in content:
                place = f"{path}.{field.name}" if path else field.name
                yield content[field.name], field.type, place


def _expectation(told: str) -> str:
    """``Expected `float | null`, got `str` - at `$[3]``` in the words of a user."""
    missing = re.match(r"Object missing required field `(\w+)`", told)
    if missing:
        return f"expected an object with '{missing[1]}'"
    expected = re.match(r"Expected `([^`]+)`(.*?)(?:, got `|$| - at )", told)
    if not expected:
        return "expected a number of usual size" if "range" in told else told
    kinds = [kind for kind in expected[1].split(" | ") if kind != "null"]
    if "float" in kinds:
        kinds = [kind for kind in kinds if kind != "int"]
    return f"expected {' or '.join(_WORDS.get(kind, kind) for kind in kinds)}{expected[2]}"


def _shown(value: Any) -> str:
    """A value as JSON's reader gave it, cut short."""
    if isinstance(value, dict):
        return f"an object of {', '.join(map(_shown, islice(value, 3))) or 'nothing'}"
    if value is None:
        return "null"
    text = repr(value if not isinstance(value, list) else value[:5])
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
