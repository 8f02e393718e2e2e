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
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import msgspec

SHOWN_ERRORS = 5
SHOWN_CHARACTERS = 40

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An integer that arrays can hold."""

_NAMES: dict[Any, str] = {
    **{int: "a whole number", float: "a number", str: "a text", bool: "true or false"},
    list: "a list",
}
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_json(path: Path, what: str) -> Any:
    """Read a JSON file in UTF-8, UTF-16 or UTF-32.

    Args:
        path: The file.
        what: Its content in a few words, for messages.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It is empty or no JSON, a key occurs twice in one object, or a text is none.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path}; give {what}")
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
    """Parse JSON as :func:`read_json` does; messages call it ``where``."""
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
        where: Name of the content in messages.
        what: As :func:`read_json`.

    Raises:
        ValueError: There are some; the first ones are named.
    """
    wrong = [str(each) for each in islice(wrong_types(content, record), SHOWN_ERRORS + 1)]
    if wrong:
        more = " - and more" if len(wrong) > SHOWN_ERRORS else ""
        shown = " - ".join(wrong[:SHOWN_ERRORS])
        raise ValueError(f"{where}: {shown}{more}; correct it, or give {what}")


class WrongType(NamedTuple):
    """A value of another type than its record has; as text, a sentence.

    Args:
        path: Keys and indices that lead to it: ``("annotations", 12, "keypoints", 3)``.
        expected: Its type, in the words of a user.
        found: The value, cut short.
    """

    path: tuple[str | int, ...]
    expected: str
    found: str

    def __str__(self) -> str:
        steps = (
            f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{_shown(key)}]"
            for key in self.path
        )
        where = "".join(steps).removeprefix(".") or "the whole"
        return f"{where}: expected {self.expected}, found {self.found}"


def wrong_types(content: Any, record: Any, path: tuple[str | int, ...] = ()) -> Iterator[WrongType]:
    """Find each value of another type than its record has, from ``path`` in its file on."""
    try:
        msgspec.convert(content, record)
        return
    except msgspec.ValidationError:
        pass
    inside = False
    for key, member, kind in _members(content, record):
        for wrong in wrong_types(member, kind, (*path, key)):
            inside = True
            yield wrong
    if not inside:
        yield WrongType(path, _expectation(content, record), _shown(content))


def _members(content: Any, record: Any) -> Iterator[tuple[str | int, Any, Any]]:
    """The parts of a container: key, value and record."""
    for variant in _variants(record):
        origin, inner = get_origin(variant), get_args(variant)
        if origin is list and isinstance(content, list):
            yield from ((index, member, inner[0]) for index, member in enumerate(content))
        elif origin is dict and isinstance(content, dict):
            yield from ((key, member, inner[1]) for key, member in content.items())
        elif isinstance(content, dict):
            for field in _fields(variant):
                if field.name in content:
                    yield field.name, content[field.name], field.type


def _expectation(content: Any, record: Any) -> str:
    """The types of a record in the words of a user, or what an object lacks."""
    variants = _variants(record)
    for field in (field for variant in variants for field in _fields(variant)):
        if isinstance(content, dict) and field.required and field.name not in content:
            return f"an object with '{field.name}'"
    kinds = [get_origin(variant) or variant for variant in variants]
    if type(content) in kinds or (type(content) is int and float in kinds):
        return "a number of usual size"
    wider = [kind for kind in kinds if kind is not int or float not in kinds]
    return " or ".join(dict.fromkeys(_NAMES.get(kind, "an object") for kind in wider))


def _variants(record: Any) -> list[Any]:
    """The types that a record may have, but for ``null``."""
    origin, inner = get_origin(record), get_args(record)
    if origin in (Union, types.UnionType):
        return [variant for kind in inner for variant in _variants(kind)]
    if origin is Annotated:
        return _variants(inner[0])
    return [] if record is types.NoneType else [record]


def _fields(record: Any) -> tuple[msgspec.structs.FieldInfo, ...]:
    is_struct = isinstance(record, type) and issubclass(record, msgspec.Struct)
    return msgspec.structs.fields(record) if is_struct else ()


def _shown(value: Any) -> str:
    """A value as JSON's reader gave it, cut short."""
    if isinstance(value, dict):
        return f"an object of {', '.join(map(_shown, islice(value, 3))) or 'nothing'}"
    if value is None:
        return "null"
    text = repr(value if not isinstance(value, list) else value[:5])
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
