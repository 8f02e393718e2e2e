"""Groups of images that belong together: those of one horse, one video, one patient."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class GroupRule:
    r"""Name the group of an image; without key and expression each image is its own group.

    Args:
        key: Of a record in the annotation file, whose value is the group: a text or a number.
        regex: Regular expression, searched in the image's name; its first pair of parentheses
            holds the group, as in ``(\w+)_\d+\.png``.

    Raises:
        ValueError: Both are given, or the expression is none or has no parentheses.
    """

    key: str = ""
    regex: str = ""

    def __post_init__(self) -> None:
        example = r"write an image's name with the group in parentheses, such as (\w+)_\d+\.png"
        if self.key and self.regex:
            raise ValueError(
                f"expected a key or a regular expression to group by, got '{self.key}' and "
                f"'{self.regex}'; give one of them"
            )
        try:
            has_group = re.compile(self.regex).groups > 0
        except re.error as error:
            message = f"'{self.regex}' is no regular expression ({error}); {example}"
            raise ValueError(message) from error
        if self.regex and not has_group:
            raise ValueError(f"'{self.regex}' has no parentheses; {example}")

    def group(self, file_name: str, record: Mapping) -> str:
        """Find the group of one image by its name with ``/``, or by the record that has ``key``.

        Raises:
            ValueError: The record has no such key, or the expression does not match the name.
        """
        if self.key:
            value = record.get(self.key)
            if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
                raise ValueError(
                    f"expected a text or a number under '{self.key}' of {file_name}, got "
                    f"{value!r}; its keys are {', '.join(map(str, record))}"
                )
            return str(value)
        if not self.regex:
            return file_name
        match = re.search(self.regex, file_name)
        if match is None or not match[1]:
            raise ValueError(
                f"'{self.regex}' finds no group in {file_name}; it must match every image"
            )
        return match[1]
