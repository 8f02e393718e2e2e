"""Choice of the images to label next, and what is written for the labelling tool."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from mmengine.config import Config

from equikpt.apis.images import sheet, sheet_cell
from equikpt.core.project import BEST, LAST
from equikpt.core.tables import frame_text
from equikpt.data_tools.near_duplicates import near_pairs
from equikpt.suggestions.candidates import Candidate, Sources, stamps_of
from equikpt.suggestions.choice import choose, informativeness, ranks
from equikpt.suggestions.collecting import Collection
from equikpt.suggestions.labelled import Labelled
from equikpt.visualization.predictions import Look, draw
from equikpt_runtime.boxes import BOX_AREA_FRACTION
from equikpt_runtime.files import write_bytes, write_text
from equikpt_runtime.instance import Instance

IMAGES, LABELS, TABLE, SHEET = "images", "suggested.json", "suggested.csv", "sheet.jpg"
CHUNKS = ".evidence"
"""Folder of what a run goes on from."""
REASONS = dict(
    uncertainty="unsure",
    mirror="mirror differs",
    checkpoints="checkpoints differ",
    novelty="unlike training",
    jump="point jumps",
    limbs="long limb",
    diverse="unlike the others",
)
"""Criteria and, where none is high, what else was the reason."""
DETAILS = dict(
    uncertainty=" of {:.1f} points",
    mirror=" by {:.2f} boxes",
    checkpoints=" by {:.2f} boxes",
    novelty=" {:.1f}x",
    jump=" by {:.0%} of box",
    limbs=" {1} {0:.1f}x",
    diverse="",
)
SURPRISING = 0.5
"""Rank of its strongest criterion from which a candidate is chosen for that, and else for being
unlike the others."""


@dataclass(frozen=True)
class Suggestion:
    """A candidate that was chosen.

    Args:
        index: Of the candidate.
        candidate: Itself.
        reason: Key of :data:`REASONS`.
        detail: The reason in figures.
        criteria: Values by name.
    """

    index: int
    candidate: Candidate
    reason: str
    detail: str
    criteria: dict[str, float]


def other_checkpoint(checkpoint: Path) -> list[Path]:
    """The newest checkpoint of a run whose best one this is, where it is another."""
    last = checkpoint.parent / LAST
    is_other = checkpoint.name == BEST and last.is_file() and not last.samefile(checkpoint)
    return [last] if is_other else []


def choose_images(
    collection: Collection, labelled: Labelled, names: Sequence[str], count: int
) -> tuple[list[Suggestion], str]:
    """Choose candidates that are informative, unlike each other and unlike what is labelled.

    Args:
        collection: The candidates.
        labelled: The labelled images.
        names: Of the K keypoints.
        count: Number to choose.

    Returns:
        The choice, the first one first, and a sentence on what was left out.

    Raises:
        ValueError: All candidates are nearly the same as labelled images, or show nothing.
    """
    evidence = collection.told
    boxes = collection.boxes
    sides = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    stretch, limbs = labelled.stretch(evidence.keypoints, evidence.visibility, sides)
    criteria = dict(
        uncertainty=evidence.uncertainty,
        mirror=evidence.mirror,
        checkpoints=evidence.checkpoints,
        novelty=evidence.novelty,
        jump=evidence.jump,
        limbs=stretch,
    )
    near = _near(collection, labelled)
    weights = informativeness(criteria)
    views = choose(evidence.features, weights, labelled.features, count, near.views, near.known)
    total = len(collection.candidates)
    if not views:
        raise ValueError(
            f"expected images that are not labelled yet, all {total} are nearly the same as "
            "labelled ones; give others"
        )
    rank = {name: ranks(values) for name, values in criteria.items() if np.ptp(values) > 0}
    chosen = []
    for view in views:
        best = max(rank, key=lambda name: rank[name][view], default="")
        if not best or rank[best][view] < SURPRISING:
            best = "diverse"
        ends = labelled.links[limbs[view]] if len(labelled.links) else ()
        limb = "-".join(names[point] for point in ends)
        detail = DETAILS[best].format(criteria.get(best, weights)[view], limb)
        own = {name: float(values[view]) for name, values in criteria.items()}
        index = int(collection.owners[view])
        chosen.append(Suggestion(index, collection.candidates[index], best, detail, own))
    known = len({int(collection.owners[view]) for view in near.known})
    line = f"{len(chosen)} of {total} images; {known} are nearly the same as labelled ones"
    return chosen, line


class _Near(NamedTuple):
    """Views of candidates that are nearly the same as labelled ones, and as other candidates."""

    known: set[int]
    views: dict[int, set[int]]


def _near(collection: Collection, labelled: Labelled) -> _Near:
    """Find near duplicates; another view of an image counts as one of it."""
    shift = len(labelled.fingerprints)
    images: dict[int, set[int]] = {i: {i} for i in range(len(collection.candidates))}
    known: set[int] = set()
    for pair in near_pairs([*labelled.fingerprints, *collection.fingerprints]):
        first, second = pair.first - shift, pair.second - shift
        if first >= 0:
            images[first].add(second)
            images[second].add(first)
        elif second >= 0:
            known.add(second)
    views_of: dict[int, set[int]] = {index: set() for index in images}
    for view, owner in enumerate(collection.owners.tolist()):
        views_of[owner].add(view)
    alike = {
        view: set().union(*(views_of[other] for other in images[index]))
        for index, views in views_of.items()
        for view in views
    }
    return _Near({view for index in known for view in views_of[index]}, alike)


def write(
    out: Path,
    chosen: Sequence[Suggestion],
    collection: Collection,
    sources: Sources,
    read: Callable[[Path], np.ndarray],
    metainfo: dict[str, Any],
) -> None:
    """Write images, pre-annotations in COCO JSON, a table with the reasons and a contact sheet."""
    by_index = {each.index: each for each in chosen}
    rows: list[dict] = []
    images: list[dict] = []
    cells = {}
    names = [metainfo["keypoint_id2name"][i] for i in range(metainfo["num_keypoints"])]
    for index, image in _pixels(out / IMAGES, by_index, sources, read):
        number, suggestion = len(images) + 1, by_index[index]
        height, width = image.shape[:2]
        name = suggestion.candidate.name
        images.append(dict(id=number, file_name=name, width=width, height=height))
        views = np.flatnonzero(collection.owners == index).tolist()
        for view in views:
            rows.append(_annotation(collection, view, number, len(rows) + 1))
        instances = [_instance(collection, view) for view in views]
        cells[index] = sheet_cell(draw(image, instances, metainfo, Look()))
    links = [[int(a) + 1, int(b) + 1] for a, b in metainfo.get("skeleton_links") or ()]
    category = dict(id=1, name=metainfo["dataset_name"], keypoints=names, skeleton=links)
    content = dict(images=images, annotations=rows, categories=[category])
    write_text(out / LABELS, json.dumps(content, ensure_ascii=False))
    table = pd.DataFrame(
        dict(
            image=each.candidate.name,
            source=str(each.candidate.source),
            frame=each.candidate.frame,
            time_s=each.candidate.time_s,
            reason=REASONS[each.reason],
            **{name: round(value, 4) for name, value in each.criteria.items()},
        )
        for each in chosen
    )
    table["frame"] = table["frame"].astype("Int64")
    write_text(out / TABLE, frame_text(table))
    captions = (f"{n}: {REASONS[one.reason]}{one.detail}" for n, one in enumerate(chosen, 1))
    drawn = sheet([(cells[one.index], text) for one, text in zip(chosen, captions, strict=True)])
    write_bytes(out / SHEET, cv2.imencode(".jpg", drawn)[1].tobytes())


def _pixels(
    folder: Path,
    chosen: dict[int, Suggestion],
    sources: Sources,
    read: Callable[[Path], np.ndarray],
) -> Iterator[tuple[int, np.ndarray]]:
    """Write the chosen images, and yield them with the index of the candidate."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted: dict[Path, dict[int, int]] = {}
    for index, each in chosen.items():
        target = folder / each.candidate.name
        if each.candidate.frame is None:
            shutil.copyfile(each.candidate.source, target)
            yield index, read(target)
        else:
            wanted.setdefault(each.candidate.source, {})[each.candidate.frame] = index
    for clip in sources.clips:
        for frame, image in frames_at(clip.path, wanted.get(clip.path, {})):
            index = wanted[clip.path][frame]
            content = cv2.imencode(".png", image)[1].tobytes()
            write_bytes(folder / chosen[index].candidate.name, content)
            yield index, image


def frames_at(path: Path, numbers: dict[int, int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield some frames of a video by their numbers; the others are not decoded."""
    capture = cv2.VideoCapture(str(path))
    try:
        for number in range(max(numbers, default=-1) + 1):
            if not capture.grab():
                return
            if number in numbers:
                yield number, capture.retrieve()[1]
    finally:
        capture.release()


def _annotation(collection: Collection, view: int, image_id: int, row_id: int) -> dict[str, Any]:
    evidence = collection.told
    left, top, right, bottom = collection.boxes[view].tolist()
    visibility = evidence.visibility[view]
    points = np.where(visibility[:, None] > 0, evidence.keypoints[view], 0)
    keypoints = np.column_stack([points.round(2), visibility]).ravel().tolist()
    width, height = right - left, bottom - top
    return dict(
        id=row_id,
        image_id=image_id,
        category_id=1,
        bbox=[round(value, 2) for value in (left, top, width, height)],
        area=round(BOX_AREA_FRACTION * width * height, 2),
        iscrowd=0,
        num_keypoints=int((visibility > 0).sum()),
        keypoints=keypoints,
    )


def _instance(collection: Collection, view: int) -> Instance:
    evidence = collection.told
    visibility = evidence.visibility[view]
    return Instance(
        evidence.keypoints[view].astype(np.float32),
        evidence.scores[view].astype(np.float32),
        collection.boxes[view].astype(np.float32),
        presence=(visibility > 0).astype(np.float32),
        seen=(visibility > 1).astype(np.float32),
    )


def summary(chosen: Sequence[Suggestion]) -> str:
    """Count the reasons."""
    kinds = Counter(REASONS[each.reason] for each in chosen)
    return ", ".join(f"{kind} {number}" for kind, number in kinds.most_common())


def settings_of(
    cfg: Config, files: Sequence[Path], sources: Sources, **options: Any
) -> dict[str, Any]:
    """State what the evidence depends on, as plain values.

    Args:
        cfg: Of the model.
        files: Checkpoints, and what the boxes come from.
        sources: Images and videos.
        options: Further ones.
    """
    text = json.loads(json.dumps(cfg.to_dict(), default=str))
    stamps = dict(files=stamps_of(files), sources=stamps_of(sources.paths()))
    dataset = text["test_dataloader"]["dataset"]
    return dict(model=text["model"], dataset=dataset, **stamps, **options)


def check_out(out: Path, sources: Sources, overwrite: bool) -> None:
    """Stop before images that are no suggestions would be replaced, or those asked about.

    Raises:
        FileExistsError: The folder has suggestions and ``overwrite`` is not set, or other images.
        ValueError: Images to choose from lie in it.
    """
    has_own = (out / LABELS).exists() or (out / CHUNKS).exists()
    if (out / IMAGES).exists() and not has_own:
        raise FileExistsError(
            f"expected a folder for suggestions, {out} has {IMAGES} of something else; choose "
            "another"
        )
    if (out / LABELS).exists() and not overwrite:
        raise FileExistsError(
            f"expected a folder without suggestions, {out} has some; choose another, or replace "
            "them with --overwrite"
        )
    inside = [path for path in sources.paths() if out.resolve() in path.resolve().parents]
    if inside:
        raise ValueError(f"expected another --out than where {inside[0]} is read from")
