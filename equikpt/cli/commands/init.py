from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equikpt.cli import options as declare
from equikpt.cli.options import ABOVE_0, argument, number, option
from equikpt.data_tools.convert import FORMATS

EPILOG = """
DIR is then all that is needed:
  DIR/data/annotations, DIR/data/images   labels in COCO JSON, divided into train, val and test
  DIR/keypoints.py, DIR/keypoints.png     the keypoint set, to be looked at and edited
  DIR/config.py, DIR/README.md            the config, and the reason of each number in it
and train DIR, test DIR, report DIR go on from there. A run that was stopped is gone on with by
`init DIR`; with --overwrite, what was edited stays.

--keypoints is a YAML file of one or more of
  keypoints: [head, ear_l, ear_r]     # in the order of the file, where the labels have no names
  skeleton: [[head, ear_l], [head, ear_r]]
  flip_pairs: [[ear_l, ear_r]]        # where names and labels do not tell left and right
  mapping: {Kopf: head, Ohr_li: ear_l, Ohr_re: ear_r}   # other names, other order, fewer points
or the keypoints.py of another project, which is taken as it is.
"""


@dataclass(frozen=True, kw_only=True)
class InitOptions(declare.ReadsImages):
    """Make a project from an export of a labelling tool: labels, keypoint set and config."""

    root: Path = argument("folder of the project", metavar="DIR")
    input: Path | None = option("the export: a zip, a folder or a file", metavar="PATH")
    add: Path | None = option(
        "a further export for a project that is there; its parts keep their images", metavar="PATH"
    )
    format_name: str | None = option(
        "format of the export (default: the one that the files show)",
        "--from",
        choices=sorted(FORMATS),
    )
    keypoints: Path | None = option("names, skeleton and flip pairs; see below")
    img_dir: Path | None = declare.img_dir("folder of the images, where the export has none")
    classes: Sequence[str] | None = option("classes to take, all as one kind", metavar="NAME")
    split: Sequence[float] | None = option(
        "fractions of train, val and perhaps test (default: by the number of images)",
        type=number(ABOVE_0, 1),
        metavar="R",
    )
    group_regex: str | None = option(
        "its parentheses hold the video or animal in an image's name (default: as the names show)",
        metavar="REGEX",
    )
    minutes: float | None = option(
        "minutes that a training may take on this machine (default: 20)", type=number(ABOVE_0)
    )
    name: str | None = option("name of the keypoint set (default: that of the folder)")
    overwrite: bool = declare.overwrite(
        "what init made and nobody edited; with --add the labels of images that are there"
    )


def main(argv: list[str] | None = None) -> int:
    """Make the project, with a line for each step; 0 when done."""
    options = declare.parse(InitOptions, argv, EPILOG)
    if options.add:
        return add(options, options.add)
    from equikpt.data_tools.project.steps import make_project, this_machine

    given: dict[str, Any] = {
        name: None if getattr(options, name) is None else str(getattr(options, name).resolve())
        for name in ("input", "keypoints", "img_dir")
    }
    given |= {name: getattr(options, name) for name in ("format_name", "group_regex", "minutes")}
    given |= {
        name: getattr(options, name) and [*getattr(options, name)] for name in ("classes", "split")
    }
    given["name"] = options.name
    make_project(
        options.root,
        given,
        this_machine=this_machine(),
        weights=reachable_weights,
        speed=training_speed_of,
        overwrite=options.overwrite,
        log=lambda line: print(wrapped(line), flush=True),
    )
    print(f"next: look at {options.root / 'keypoints.png'}, then: equikpt train {options.root}")
    return 0


def add(options: InitOptions, source: Path) -> int:
    """Add further labels to a project; 0 when done."""
    from equikpt.data_tools.project.adding import add_labels

    fixed = ("input", "keypoints", "classes", "split", "group_regex", "minutes", "name")
    if given := [name for name in fixed if getattr(options, name) is not None]:
        shown = given[0].replace("_", "-")
        raise ValueError(f"expected --add without --{shown}, which the project has already")
    add_labels(
        options.root,
        source.resolve(),
        options.format_name,
        options.img_dir and options.img_dir.resolve(),
        overwrite=options.overwrite,
        log=lambda line: print(wrapped(line), flush=True),
    )
    print(f"next: equikpt train {options.root} --from-last")
    return 0


def wrapped(line: str) -> str:
    """Break a line where the terminal ends, or at 100 letters, and indent what follows."""
    width = shutil.get_terminal_size((100, 24)).columns
    return textwrap.fill(
        line, max(width, 60), subsequent_indent=" " * 16,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def reachable_weights() -> list[str]:
    """Names of released backbones that are on this machine, or that its network can fetch."""
    from equikpt.checkpoints.download import size_bytes
    from equikpt.checkpoints.zoo import find
    from equikpt.checkpoints.zoo_files import default_folder
    from equikpt.data_tools.project.recipe import WEIGHTS

    rows = [find(name) for name in WEIGHTS.values()]
    folder = default_folder()
    return [row.name for row in rows if (folder / row.file_name).is_file() or size_bytes(row.url)]


def training_speed_of(config: Path) -> float:
    """Measure how many samples a second a config file trains with."""
    from equikpt.core.configs import read_config
    from equikpt.engine.speed import training_speed

    return training_speed(read_config(config))
