"""Records beside the weights of a checkpoint, in its ``meta``: fits, features and limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

Record = TypeVar("Record")


class RecordError(ValueError):
    """A record is not as this version of the package writes it."""


def write_record(checkpoint: dict[str, Any], name: str, record: Any | None) -> None:
    """Write a record's ``to_dict()`` under its name; None takes an earlier one out."""
    meta = checkpoint.setdefault("meta", {})
    meta.pop(name, None)
    if record is not None:
        meta[name] = record.to_dict()


def read_record(
    checkpoint: Mapping[str, Any], name: str, read: Callable[[Any], Record]
) -> Record | None:
    """Read a record by its name; None where the checkpoint has none.

    Raises:
        RecordError: Of another version, as ``read`` finds by any error.
    """
    meta = checkpoint.get("meta")
    plain = meta.get(name) if isinstance(meta, Mapping) else None
    if plain is None:
        return None
    try:
        return read(plain)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise RecordError(
            f"expected the record {name!r} of the checkpoint as this version of equikpt writes it, "
            f"got one of another version ({error}); equikpt test CONFIG CHECKPOINT --split val "
            "--fit writes it anew"
        ) from error


def check_keys(record: type, plain: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` where a record's keys are not the fields of its dataclass."""
    known = [each.name for each in fields(record)]
    missing = [name for name in known if name not in plain]
    further = [str(name) for name in plain if name not in known]
    told = [
        f"{what} {', '.join(names)}"
        for what, names in (("lacks", missing), ("has also", further))
        if names
    ]
    if told:
        raise ValueError("it " + " and ".join(told))
