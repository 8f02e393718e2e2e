"""In what the configs of several runs differ."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from equikpt.report.run.run_folder import Run

KEYS = (
    *("model", "train_dataloader", "val_dataloader", "test_dataloader", "train_cfg", "val_cfg"),
    *("test_cfg", "auto_scale_lr", "optim_wrapper", "param_scheduler", "val_evaluator"),
    *("test_evaluator", "default_hooks", "custom_hooks", "data_preprocessor", "load_from"),
    *("env_cfg", "log_processor", "visualizer", "randomness"),
)
"""Keys that MMEngine's runner builds a run from; others are variables of the config itself."""
ABSENT = "–"
MAX_LETTERS = 160
"""Length of a value."""

KeyPath = tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """A setting in which configs differ.

    Args:
        key: Dotted, elements of lists by their type: ``custom_hooks[EMAHook].momentum``.
        values: One a run, as text; of a part that a config lacks as a whole, all of it.
        repeated: At how many more places the configs differ in the same way.
    """

    key: str
    values: tuple[str, ...]
    repeated: int = 0

    @property
    def title(self) -> str:
        """The key, and at how many more places the same stands."""
        return f"{self.key} (and {self.repeated} more)" if self.repeated else self.key


def config_differences(runs: Sequence[Run]) -> list[Difference]:
    """Settings in which the configs differ, in the order of :data:`KEYS`.

    A setting that a config repeats, as the size of a heatmap in each pipeline, is one difference.
    A run without a config differs in nothing.
    """
    flat = [flattened(run.config) for run in runs]
    known = [each for each in flat if each]
    parts = [_parts(each) for each in known]
    places: dict[tuple[str, tuple[str, ...]], list[KeyPath]] = {}
    for path in dict.fromkeys(_whole(path, parts) for each in known for path in each):
        values = tuple(_value(each, path) for each in flat)
        if len({_value(each, path) for each in known}) > 1:
            places.setdefault((path[-1], values), []).append(path)
    found = [(paths, values) for (_, values), paths in places.items()]
    found.sort(key=lambda pair: KEYS.index(pair[0][0][0]))
    return [Difference(_dotted(paths[0]), values, len(paths) - 1) for paths, values in found]


def flattened(config: Any) -> dict[KeyPath, str]:
    """The settings of a config by their path, each as text; none for None."""
    if config is None:
        return {}
    return dict(pair for key in KEYS for pair in _flat((key,), config.get(key)))


def _flat(path: KeyPath, value: Any) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _flat((*path, str(name)), part)
    elif isinstance(value, (list, tuple)) and any(isinstance(part, dict) for part in value):
        for label, part in zip(_labels(value), value, strict=True):
            yield from _flat((*path, f"[{label}]"), part)
    else:
        yield path, str(list(value) if isinstance(value, tuple) else value)


def _labels(values: Sequence[Any]) -> list[str]:
    """Elements by their type, so that one more in front does not move all others; else by place."""
    labels: list[str] = []
    for place, value in enumerate(values):
        name = str(value["type"]) if isinstance(value, dict) and "type" in value else str(place)
        same = sum(label.split(" ")[0] == name for label in labels)
        labels.append(f"{name} {same + 1}" if same else name)
    return labels


def _parts(flat: dict[KeyPath, str]) -> set[KeyPath]:
    """Every path of a config, those of whole parts too."""
    return {path[:length] for path in flat for length in range(1, len(path) + 1)}


def _whole(path: KeyPath, configs: Sequence[set[KeyPath]]) -> KeyPath:
    """The path, or that of the largest part around it that a config lacks as a whole."""
    lacking = [parts for parts in configs if path not in parts]
    for length in range(1, len(path)):
        if any(path[:length] not in parts for parts in lacking):
            return path[:length]
    return path


def _value(flat: dict[KeyPath, str], path: KeyPath) -> str:
    if path in flat:
        return textwrap.shorten(flat[path], MAX_LETTERS)
    kind = (*path, "type")
    inside = [
        f"{_dotted(key[len(path) :])}={value}"
        for key, value in flat.items()
        if key[: len(path)] == path and key != kind
    ]
    if not inside and kind not in flat:
        return ABSENT
    return textwrap.shorten(f"{flat.get(kind, '')}({', '.join(inside)})", MAX_LETTERS)


def _dotted(path: KeyPath) -> str:
    return ".".join(path).replace(".[", "[")
