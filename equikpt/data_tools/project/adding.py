"""Further labels for a project: converted, checked, and put into its parts."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from equikpt.core.issues import format_examples, plural
from equikpt.data_tools.convert import writer
from equikpt.data_tools.convert.conversion import convert
from equikpt.data_tools.convert.guess import Guess, guess_format
from equikpt.data_tools.convert.reading import Reading
from equikpt.data_tools.near_duplicates import near_pairs, read_fingerprints
from equikpt.data_tools.project import labels
from equikpt.data_tools.project.folder import STATE, Project
from equikpt.data_tools.project.given_set import given_set
from equikpt.data_tools.project.parts import GROUP_KEY, kept_groups
from equikpt_runtime.files import write_text

ADDED = STATE / "added"


def add_labels(
    root: Path,
    source: Path,
    format_name: str | None = None,
    img_dir: Path | None = None,
    *,
    overwrite: bool = False,
    log: Callable[[str], None],
) -> None:
    """Add an export of a labelling tool to a project; its parts keep the images that they have.

    A new image is trained on, unless its video, or an image that is nearly the same, is in another
    part: then it goes there, so that scores stay honest.

    Args:
        root: Folder of the project.
        source: The export, of the same keypoints.
        format_name: Its format; None for what the files show.
        img_dir: Folder of its images, where it has none.
        overwrite: Replace the labels of images that the project has.
        log: Takes each line.

    Raises:
        FileExistsError: The project has labels of an image, and ``overwrite`` is not set.
        FileNotFoundError: No such export, or a part of it is missing.
        ValueError: No project, other keypoints, or wrong labels.
    """
    project = Project(root)
    if project.facts("parts") is None:
        raise ValueError(f"{root} is no project yet; make it with equikpt init {root} --input")
    contents = labels.read_labels(project.data)
    drafts = root / ADDED
    shutil.rmtree(drafts, ignore_errors=True)
    try:
        guess = Guess(format_name, source, source.name) if format_name else guess_format(source)
        log(guess.reason)
        new, folder = _converted(project, guess, img_dir, drafts, log)
        _refuse_other_keypoints(root, new, contents)
        place = _places(project, new, folder, contents)
        known = _known(contents, new, overwrite)
        _put(project, new, folder, contents, {**place, **known})
    finally:
        shutil.rmtree(drafts, ignore_errors=True)
    names = [image["file_name"] for image in new["images"]]
    counts = Counter(place[name] for name in names if name not in known)
    shown = ", ".join(f"{counts[part]} to {part}" for part in contents if counts[part])
    lines = [f"added: {shown or 'no new images'}"]
    if elsewhere := sum(counts[part] for part in contents if part != "train"):
        lines.append(
            f"{elsewhere} go with images of their video, or nearly the same ones, that are there"
        )
    if known:
        lines.append(f"labels replaced of {plural(len(known), 'image')}")
    total = {name: len(content["images"]) for name, content in contents.items()}
    lines.append(", ".join(f"{name} {count}" for name, count in total.items()) + " images now")
    files = [
        path.relative_to(root).as_posix() for path in labels.label_files(project.data).values()
    ]
    facts = project.facts("parts") or {"lines": []}
    project.done_elsewhere("parts", {**facts, "lines": [*facts["lines"], *lines]}, files)
    for line in lines:
        log(line)


def _converted(
    project: Project,
    guess: Guess,
    img_dir: Path | None,
    drafts: Path,
    log: Callable[[str], None],
) -> tuple[dict[str, Any], Path]:
    """COCO dict of the export, and the folder in ``drafts`` that its images lie in."""
    options = project.options
    given = given_set(Path(options["keypoints"]) if options.get("keypoints") else None)
    said = convert(
        guess.format_name,
        guess.source,
        drafts,
        mapping=given.scheme,
        target_name="coco",
        reading=Reading(img_dir, classes=tuple(options.get("classes") or ()), undivided=True),
    )
    for line in said.notes:
        log(line)
    parts = labels.read_labels(drafts)
    if len(parts) > 1:
        raise ValueError(
            f"expected an export of one part, {guess.source} has {', '.join(parts)}; add one after "
            "the other"
        )
    labels.widen_lone_boxes(parts)
    for line in labels.check_labels(drafts):
        log(line)
    ((name, content),) = parts.items()
    return content, writer.image_folder(drafts, name)


def _refuse_other_keypoints(root: Path, new: dict, contents: dict[str, dict]) -> None:
    own, given = labels.keypoint_names(contents), labels.keypoint_names({"": new})
    if own != given:
        raise ValueError(
            f"expected the keypoints of {root}, {', '.join(own)}, in this order, got "
            f"{', '.join(given)}"
        )


def _known(contents: dict[str, dict], new: dict, overwrite: bool) -> dict[str, str]:
    """Parts of the images that the project has, by name."""
    parts = {
        image["file_name"]: part for part, each in contents.items() for image in each["images"]
    }
    names = [image["file_name"] for image in new["images"] if image["file_name"] in parts]
    if names and not overwrite:
        raise FileExistsError(
            f"the project has labels of {plural(len(names), 'image')} already "
            f"({format_examples(names)}); take them out of the export, or replace their labels "
            "with --overwrite"
        )
    return {name: parts[name] for name in names}


def _places(project: Project, new: dict, folder: Path, contents: dict[str, dict]) -> dict[str, str]:
    """Part of each new image, by name."""
    own = [(part, image) for part, each in contents.items() for image in each["images"]]
    folders = {part: writer.image_folder(project.data, part) for part in contents}
    paths = [folders[part] / image["file_name"] for part, image in own]
    names = [image["file_name"] for image in new["images"]]
    pairs = near_pairs(read_fingerprints([*paths, *(folder / name for name in names)]))
    files = [image["file_name"] for _, image in own]
    regex = project.options.get("group_regex") or ""
    group_of = kept_groups(files, [part for part, _ in own], regex)
    videos = {group_of(name): part for (part, _), name in zip(own, files, strict=True)}
    place = {}
    for image in new["images"]:
        image[GROUP_KEY] = group_of(image["file_name"])
        place[image["file_name"]] = videos.get(image[GROUP_KEY], "train")
    for pair in pairs:
        if pair.first < len(own) <= pair.second:
            part = own[pair.first][0]
            name = names[pair.second - len(own)]
            place[name] = place[name] if place[name] != "train" else part
    return place


def _put(
    project: Project,
    new: dict,
    folder: Path,
    contents: dict[str, dict],
    place: Mapping[str, str],
) -> None:
    """Move the images, then write the labels of each part that changes."""
    grouped = any(GROUP_KEY in row for each in contents.values() for row in each["annotations"])
    next_image = 1 + max(image["id"] for each in contents.values() for image in each["images"])
    next_row = 1 + max(row["id"] for each in contents.values() for row in each["annotations"])
    rows_of: dict[Any, list[dict]] = {}
    for row in new["annotations"]:
        rows_of.setdefault(row["image_id"], []).append(row)
    for image in new["images"]:
        name, content = image["file_name"], contents[place[image["file_name"]]]
        same = [each for each in content["images"] if each["file_name"] == name]
        gone = {each["id"] for each in same}
        content["images"] = [each for each in content["images"] if each["id"] not in gone]
        content["annotations"] = [r for r in content["annotations"] if r["image_id"] not in gone]
        content["images"].append({**image, "id": next_image})
        for row in rows_of.get(image["id"], ()):
            group = {GROUP_KEY: image[GROUP_KEY]} if grouped else {}
            content["annotations"].append({**row, **group, "id": next_row, "image_id": next_image})
            next_row += 1
        next_image += 1
        target = writer.image_folder(project.data, place[name]) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder / name, target)
    for part in sorted(set(place.values())):
        text = json.dumps(contents[part], ensure_ascii=False)
        write_text(writer.annotation_file(project.data, part), text)
