"""Division of a project's images into train, val and test: by what, how large, and why."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from equikpt.core.coco.file import load_coco
from equikpt.core.groups import GroupRule
from equikpt.core.issues import plural
from equikpt.data_tools.convert import writer
from equikpt.data_tools.near_duplicates import near_pairs, read_fingerprints
from equikpt.data_tools.project.labels import label_files
from equikpt.data_tools.split import Division, SplitOptions, split
from equikpt.data_tools.split_assignment import make_units
from equikpt_runtime.files import write_text

GROUP_KEY = "group"
"""Key of the image records: the video or animal that an image is of. Annotations have it where
groups are of several images."""
MIN_GROUPS = 8
"""With fewer, parts of the wanted sizes cannot be made of whole ones."""
MAX_GROUP = 0.3
"""Largest fraction of the images in one group; in a larger one, names tell a habit of naming."""
MIN_SHARED = 0.5
"""Smallest fraction of the images that share their group with another one."""
MIN_PART = 20
"""Images of a test, or of a validation, on which a score says something."""
FEW_SCORED = 12
"""Images of a validation below which its scores are little more than chance."""
RATIOS, FEW_RATIOS = (0.8, 0.1, 0.1), (0.85, 0.15)


def divide(
    source: Path, target: Path, ratios: Sequence[float] | None = None, regex: str = ""
) -> list[str]:
    """Bring converted labels to their place, in the source's own parts or in new ones.

    Args:
        source: Root of the converted labels; images are linked or moved from there.
        target: Root of the layout.
        ratios: Of train, val and perhaps test; None for the default.
        regex: Names the group of an image; empty for what the names show.

    Returns:
        Sentences on how and why.

    Raises:
        ValueError: Parts do not go together with the options, or there are too few images.
    """
    parts = label_files(source)
    if len(parts) > 1:
        return _keep_parts(source, target, parts, ratios, regex)
    ((name, path),) = parts.items()
    content, folder = load_coco(path), writer.image_folder(source, name)
    images = content["images"]
    if len(images) < 2:
        raise ValueError(
            "expected two labelled images or more, one to train on and one to validate, got "
            f"{len(images)}; label more"
        )
    groups, by = find_groups([image["file_name"] for image in images], regex)
    for image, group in zip(images, groups, strict=True):
        image[GROUP_KEY] = group
    if len(set(groups)) < len(images):
        group_of = {image["id"]: image[GROUP_KEY] for image in images}
        for row in content["annotations"]:
            row[GROUP_KEY] = group_of[row["image_id"]]
    write_text(path, json.dumps(content, ensure_ascii=False))
    pairs = near_pairs(read_fingerprints(folder / image["file_name"] for image in images))
    division, size = _division(len(images), ratios)
    rule = GroupRule(key=GROUP_KEY)
    together = _leaves_parts(make_units(images, rule, pairs), len(division.names()))
    options = SplitOptions(
        division=division,
        rule=rule,
        img_dir=folder,
        near_duplicates=together,
        allow_near_duplicates=not together,
        stratify=True,
        images="link",
    )
    try:
        split(path, target, options)
    except OSError:  # not every disk has links
        split(path, target, replace(options, images="copy"))
    alike = f"pairs of images that are nearly the same: {len(pairs)}"
    kept = "kept together" if together else "parted, or all images would be in one part"
    return [by, size, f"{alike}, {kept}" if pairs else "no two images are nearly the same"]


def _keep_parts(
    source: Path,
    target: Path,
    parts: dict[str, Path],
    ratios: Sequence[float] | None,
    regex: str,
) -> list[str]:
    """Move the source's own parts into place, all or none."""
    if ratios or regex:
        raise ValueError(
            f"the source has its own parts, {', '.join(parts)}, which stay; leave --split and "
            "--group-regex out, or give the images in one part"
        )
    if "train" not in parts:
        raise ValueError(
            f"the source has {', '.join(parts)} and no train; give its images in one part"
        )
    named = {name: name if "val" in parts or name == "train" else "val" for name in parts}
    with writer.staged(target) as staging:
        moved = []
        for name, own in named.items():
            for place in (writer.annotation_file, writer.image_folder):
                part = place(Path(), own)
                (staging / part).parent.mkdir(parents=True, exist_ok=True)
                os.rename(place(source, name), staging / part)
                moved.append(part)
        writer.refuse_existing(target, moved, overwrite=False)
        writer.move_in(target, moved)
    lines = [f"the source's own parts: {', '.join(parts)}"]
    if "val" not in parts:
        lines.append("test is the val part here: a training needs one, and the source has none")
    return lines


def count_groups(content: Mapping) -> int:
    """Count the groups of a part by its annotations; 0 where its images are not grouped."""
    groups = [row.get(GROUP_KEY) for row in content["annotations"]]
    return 0 if None in groups else len(set(groups))


def few_scored(counts: Mapping[str, int]) -> list[str]:
    """A sentence where the part that scores are of is very small.

    Args:
        counts: Images of each part.
    """
    name = "test" if "test" in counts else "val"
    if counts[name] >= FEW_SCORED:
        return []
    return [f"a score on {plural(counts[name], 'image')} is little more than chance: label more"]


def find_groups(names: Sequence[str], regex: str = "") -> tuple[list[str], str]:
    """Group images by video or animal, as a rule or their names say; each alone if these do not.

    Args:
        names: File names with their folders.
        regex: Its first parentheses hold the group.

    Returns:
        The group of each, and a sentence.

    Raises:
        ValueError: ``regex`` is none, or does not match a name.

    >>> names = [f"clip{clip}_{frame:03d}.png" for clip in range(9) for frame in range(4)]
    >>> groups, why = find_groups(names)
    >>> groups[3:5], why[:11]
    (['clip0', 'clip1'], 'by 9 groups')
    """
    if regex:
        rule = GroupRule(regex=regex)
        groups = [rule.group(name, {}) for name in names]
        return groups, f"by {len(set(groups))} groups, as --group-regex has it: a group stays whole"
    few = ""
    for found, where in ((_folder, "the folder"), (_before_number, "the text before the number")):
        groups = [found(name) for name in names]
        sizes = Counter(groups)
        shared = sum(size for size in sizes.values() if size > 1)
        if len(sizes) < 2 or shared < MIN_SHARED * len(names):
            continue
        if len(sizes) >= MIN_GROUPS and max(sizes.values()) <= MAX_GROUP * len(names):
            shown = f"{where} in the names has it, such as {groups[0]}"
            return groups, f"by {len(sizes)} groups, as {shown}: a group stays whole"
        few = few or (
            f"by image: {where} in the names makes {len(sizes)} groups, too few or too large to "
            "stay whole; if these are videos, scores hold for further images of them, not for new "
            "ones"
        )
    return list(names), few or "by image: the names show no videos"


def kept_groups(
    names: Sequence[str], parts: Sequence[str], regex: str = ""
) -> Callable[[str], str]:
    """Find the rule by which images were grouped, so that further ones can follow it.

    It is the rule given, else the folder or the text before the number where most images share
    theirs and no group is in two parts, else each image alone.

    Args:
        names: File names with their folders.
        parts: Part of each.
        regex: Its first parentheses hold the group.

    >>> names = ["a_1.png", "a_2.png", "b_1.png", "b_2.png"]
    >>> rule = kept_groups(names, ["train", "train", "val", "val"])
    >>> rule("b_3.png")
    'b'
    """
    if regex:
        rule = GroupRule(regex=regex)
        return lambda name: rule.group(name, {})
    for found in (_folder, _before_number):
        groups = [found(name) for name in names]
        sizes = Counter(groups)
        shared = sum(size for size in sizes.values() if size > 1)
        parts_of = set(zip(groups, parts, strict=True))
        if len(parts_of) == len(sizes) > 1 and shared >= MIN_SHARED * len(names):
            return found
    return lambda name: name


def _folder(name: str) -> str:
    return PurePosixPath(name).parent.as_posix()


def _before_number(name: str) -> str:
    """The name without its last number: ``bella_0012.jpg`` gives ``bella``."""
    stem = PurePosixPath(name).stem.split(".rf.")[0]  # Roboflow's hash of a version
    stem = re.sub(r"_(jpe?g|png)$", "", stem)
    return f"{_folder(name)}/{re.sub(r'[^A-Za-z0-9]*[0-9]+[^A-Za-z0-9]*$', '', stem)}".removeprefix(
        "./"
    )


def _division(count: int, ratios: Sequence[float] | None) -> tuple[Division, str]:
    if ratios:
        return Division(ratios=tuple(ratios)), f"{' : '.join(f'{r:g}' for r in ratios)}, as asked"
    if count * RATIOS[2] >= MIN_PART:
        return Division(ratios=RATIOS), "80 : 10 : 10"
    val = min(0.2, max(FEW_RATIOS[1], MIN_PART / count)) if count >= 2 * MIN_PART else FEW_RATIOS[1]
    return Division(ratios=(1 - val, val)), (
        f"{1 - val:.0%} to train on, the rest to validate: {count} images are too few for a test "
        "of their own"
    )


def _leaves_parts(units: np.ndarray, num_parts: int) -> bool:
    """Tell if images that must stay together still fill all parts."""
    sizes = np.bincount(units)
    return len(sizes) >= 2 * num_parts and sizes.max() <= len(units) / 2
