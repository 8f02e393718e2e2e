"""Evidence of all candidates, computed once and kept in a folder while a run goes on."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.logging import print_log
from tqdm import tqdm

from equikpt.apis.box_predictor import View
from equikpt.core.image import each_image
from equikpt.data_tools.near_duplicates import Fingerprint, fingerprint
from equikpt.suggestions.candidates import Candidate, Sources, Taken
from equikpt.suggestions.evidence import Evidence, Judge
from equikpt_runtime.boxes import checked_boxes
from equikpt_runtime.files import write_text
from equikpt_runtime.tracking import BoxSource

CHUNK = 32
"""Candidates of one file, which are computed at once."""


@dataclass(frozen=True, eq=False)
class Collection:
    """Candidates, and the N views of them by their boxes.

    Args:
        candidates: In their order.
        fingerprints: Of each candidate.
        problems: A sentence on each image that could not be read; it is no candidate.
        owners: (N,) index of each view's candidate.
        boxes: (N, 4) left, top, right and bottom in px.
        evidence: Of the N views; None without any.
    """

    candidates: list[Candidate]
    fingerprints: list[Fingerprint]
    problems: list[str]
    owners: np.ndarray
    boxes: np.ndarray
    evidence: Evidence | None

    @property
    def told(self) -> Evidence:
        """Evidence of the views; ``ValueError`` without any."""
        if self.evidence is None:
            raise ValueError(
                "expected animals in the images, the detector found none; lower its score"
            )
        return self.evidence

    @classmethod
    def join(cls, parts: Sequence[Collection]) -> Collection:
        """Put chunks into one."""
        starts = np.cumsum([0, *(len(part.candidates) for part in parts)])[:-1]
        told = [part.evidence for part in parts if part.evidence is not None]
        return cls(
            [each for part in parts for each in part.candidates],
            [each for part in parts for each in part.fingerprints],
            [each for part in parts for each in part.problems],
            np.concatenate([p.owners + start for p, start in zip(parts, starts, strict=True)]),
            np.concatenate([part.boxes for part in parts]),
            Evidence.join(told) if told else None,
        )


class Chunks:
    """Files of the chunks of a run, which a later run with the same settings goes on from.

    Args:
        folder: Made where it is missing.
        settings: Plain values that the evidence depends on.

    Raises:
        FileExistsError: The folder has chunks of other settings.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        path, text = folder / "settings.json", json.dumps(settings, indent=1)
        if not path.is_file():
            write_text(path, text)
        elif path.read_text(encoding="utf-8") != text:
            raise FileExistsError(
                f"expected another folder than {folder.parent}, where a run with another model, "
                "other sources or options was; or begin anew with --overwrite"
            )

    def load(self) -> list[Collection]:
        """Read the chunks that are whole."""
        paths = (self.folder / f"{number:06d}.npz" for number in range(10**6))
        found: list[Collection] = []
        for path in paths:
            if not path.is_file():
                return found
            found.append(_read(path))
        return found

    def save(self, number: int, part: Collection) -> None:
        """Write a chunk."""
        stated = dict(candidates=[c.to_dict() for c in part.candidates], problems=part.problems)
        prints = part.fingerprints
        arrays = {} if part.evidence is None else vars(part.evidence)
        path = self.folder / f"{number:06d}.npz"
        draft = path.with_suffix(".part.npz")
        np.savez(
            draft,
            stated=json.dumps(stated),
            bits=np.array([each[:2] for each in prints], np.uint64).reshape(-1, 2),
            fine=np.array([each.fine for each in prints], np.float16).reshape(-1, 64, 64),
            owners=part.owners,
            boxes=part.boxes,
            **arrays,
        )
        draft.replace(path)


def _read(path: Path) -> Collection:
    with np.load(path) as arrays:
        stated = json.loads(str(arrays["stated"]))
        names = [each.name for each in fields(Evidence)]
        told = {name: arrays[name] for name in names if name in arrays}
        prints = zip(arrays["bits"], arrays["fine"].astype(np.float32), strict=True)
        return Collection(
            [Candidate.from_dict(each) for each in stated["candidates"]],
            [Fingerprint(int(bits[0]), int(bits[1]), fine) for bits, fine in prints],
            stated["problems"],
            arrays["owners"],
            arrays["boxes"],
            Evidence(**told) if told else None,
        )


def collect(
    sources: Sources,
    judge: Judge,
    read: Callable[[Path], np.ndarray],
    boxes: BoxSource,
    chunks: Chunks,
) -> Collection:
    """Compute the evidence of all candidates, of which ``CHUNK`` are in memory at once.

    Args:
        sources: Images and videos.
        judge: Predicts them.
        read: Reads an image file, as the model's training did.
        boxes: Of the animals in an image; None is the whole image.
        chunks: Has those of a former run.

    Raises:
        ValueError: No candidate could be read.
    """
    parts = chunks.load()
    done = sum(len(part.candidates) + len(part.problems) for part in parts)
    if done:
        print_log(f"{done} candidates were looked at in a former run", "current")
    remaining = sources.after(done)
    bar = tqdm(total=len(sources), initial=done, unit="image", delay=2, disable=None)
    with bar:
        while taken := list(islice(remaining, CHUNK)):
            part = _collect(taken, judge, read, boxes)
            chunks.save(len(parts), part)
            parts.append(part)
            bar.update(len(taken))
    for problem in [each for part in parts for each in part.problems]:
        print_log(f"left out: {problem}", "current", logging.WARNING)
    if not any(part.candidates for part in parts):
        raise ValueError("expected images or frames to choose from, none could be read")
    return Collection.join(parts)


def _collect(
    taken: Iterable[Taken],
    judge: Judge,
    read: Callable[[Path], np.ndarray],
    boxes: BoxSource,
) -> Collection:
    candidates: list[Candidate] = []
    prints, problems, owners = [], [], []
    views: list[View] = []
    following: list[np.ndarray | None] = []
    for each, image, problem in _each(taken, read):
        if image is None:
            problems.append(f"{each.candidate.source}: {problem}")
            continue
        prints.append(fingerprint(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)))
        for row in checked_boxes(image, boxes(each.candidate.source, image), True):
            views.append((image, row[:4]))
            following.append(each.following)
            owners.append(len(candidates))
        candidates.append(each.candidate)
    return Collection(
        candidates,
        prints,
        problems,
        np.array(owners, int),
        np.array([box for _, box in views], float).reshape(-1, 4),
        judge(views, following) if views else None,
    )


def _each(
    taken: Iterable[Taken], read: Callable[[Path], np.ndarray]
) -> Iterator[tuple[Taken, np.ndarray | None, str]]:
    """Each candidate with its pixels, or None and a sentence."""
    for each in taken:
        if each.image is not None:
            yield each, each.image, ""
            continue
        for _, image, problem in each_image([each.candidate.source], read):
            yield each, image, problem
