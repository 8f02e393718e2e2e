from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equikpt.data_tools.convert.cvat import read
from equikpt.data_tools.convert.schemes import NO_SCHEME

LABELS = [
    {
        "name": "horse",
        "type": "skeleton",
        "sublabels": [{"name": name, "type": "points"} for name in ("nose", "tail")],
    }
]


def element(label, x, y, **flags) -> dict:
    flags = {"occluded": False, "outside": False, **flags}
    return {"type": "points", "label": label, "points": [x, y], "frame": 0, **flags}


def skeleton(frame, *elements) -> dict:
    shape = {"type": "skeleton", "label": "horse", "frame": frame, "group": 0, "points": []}
    return {**shape, "elements": list(elements)}


FIRST = skeleton(0, element("tail", 8, 9, occluded=True), element("nose", 3, 4))
SECOND = skeleton(1, element("nose", 5, 6), element("tail", 1, 1, outside=True))


@pytest.fixture
def backup(tmp_path):
    """``backup(jobs, tasks=1)``: a project with tasks of two images each."""

    def make(jobs=None, tasks=1, **task_json) -> Path:
        root = tmp_path / "backup"
        root.mkdir()
        (root / "project.json").write_text(json.dumps({"name": "p", "labels": LABELS}))
        for number in range(tasks):
            task = root / f"task_{number}"
            (task / "data").mkdir(parents=True)
            content = {"name": "t", "subset": "Train", **task_json}
            (task / "task.json").write_text(json.dumps(content))
            default = [{"shapes": [FIRST], "tracks": []}, {"shapes": [SECOND], "tracks": []}]
            (task / "annotations.json").write_text(json.dumps(jobs or default))
            lines = [{"version": "1.1"}, {"type": "images"}]
            for name in ("a", "b"):
                lines.append({"name": name, "extension": ".png", "width": 20, "height": 10})
                Image.new("RGB", (20, 10)).save(task / "data" / f"{name}.png")
            text = "\n".join(map(json.dumps, lines))
            (task / "data/manifest.jsonl").write_text(text)
        return root

    return make


def points_of(image) -> list:
    (instance,) = image.instances
    return instance.keypoints.tolist()


def test_skeletons_of_all_jobs_are_read(backup):
    root = backup()
    dataset = read(root, NO_SCHEME)
    assert dataset.keypoints == ("nose", "tail")
    first, second = dataset.splits["train"]
    assert (first.file_name, first.width, first.height) == ("a.png", 20, 10)
    assert first.path == root / "task_0/data/a.png"
    assert points_of(first) == [[3, 4, 2], [8, 9, 1]]
    assert points_of(second) == [[5, 6, 2], [0, 0, 0]]
    assert dataset.notes == []


def test_a_zip_and_a_single_task_are_read_alike(backup, tmp_path):
    root = backup()
    task = json.loads((root / "task_0/task.json").read_text())
    (root / "task_0/task.json").write_text(json.dumps({**task, "labels": LABELS}))
    archive = Path(shutil.make_archive(str(tmp_path / "zipped"), "zip", root))
    for source in (archive, root / "task_0"):
        first, second = read(source, NO_SCHEME).splits["train"]
        assert points_of(first) == [[3, 4, 2], [8, 9, 1]]
        assert first.exists
        assert second.exists


def test_images_of_two_tasks_are_kept_apart(backup):
    images = read(backup(tasks=2), NO_SCHEME).splits["train"]
    assert [image.file_name for image in images] == [
        f"task_{task}/{name}.png" for task in range(2) for name in "ab"
    ]
    assert [image.path.parent.parent.name for image in images] == ["task_0"] * 2 + ["task_1"] * 2


def test_rectangles_and_points_are_read(backup):
    box = {"type": "rectangle", "label": "horse", "frame": 0, "group": 0, "points": [1, 2, 11, 9]}
    shapes = [box, {**element("nose", 3, 4), "group": 0}]
    first, _ = read(backup([{"shapes": shapes, "tracks": []}]), NO_SCHEME).splits["train"]
    (instance,) = first.instances
    assert instance.box_px == (1, 2, 10, 7)
    np.testing.assert_array_equal(instance.keypoints, [[3, 4, 2], [0, 0, 0]])


def test_a_turned_rectangle_gives_the_box_around_it(backup):
    box = {"type": "rectangle", "label": "horse", "frame": 0, "points": [2, 3, 12, 7]}
    jobs = [{"shapes": [{**box, "rotation": 90.0}], "tracks": []}]
    first, _ = read(backup(jobs), NO_SCHEME).splits["train"]
    assert first.instances[0].box_px == pytest.approx((5, 0, 4, 10))


def test_a_manifest_without_images_is_no_success(backup):
    root = backup()
    (root / "task_0/data/manifest.jsonl").write_text('{"a": 1}')
    with pytest.raises(ValueError, match="manifest.jsonl lists no images"):
        read(root, NO_SCHEME)


def test_key_frames_of_tracks_are_read_and_told(backup):
    track = {
        "label": "horse",
        "shapes": [
            {"type": "skeleton", "frame": 0, "outside": False, "points": []},
            {"type": "skeleton", "frame": 1, "outside": True, "points": []},
        ],
        "elements": [
            {"label": "nose", "shapes": [element("", 3, 4), {**element("", 9, 9), "frame": 1}]},
            {"label": "tail", "shapes": [{**element("", 7, 8, occluded=True), "frame": 0}]},
        ],
    }
    dataset = read(backup([{"shapes": [], "tracks": [track]}]), NO_SCHEME)
    first, second = dataset.splits["train"]
    assert points_of(first) == [[3, 4, 2], [7, 8, 1]]
    assert second.instances == ()
    assert dataset.notes[0].startswith("1 tracks: their key frames are read")


def test_deleted_frames_are_left_out(backup):
    (only,) = read(backup(data={"deleted_frames": [0]}), NO_SCHEME).splits["train"]
    assert only.file_name == "b.png"
    assert points_of(only) == [[5, 6, 2], [0, 0, 0]]


def test_what_is_no_backup_is_refused(backup):
    root = backup()
    manifest, annotations = root / "task_0/data/manifest.jsonl", root / "task_0/annotations.json"
    before = manifest.read_text()
    manifest.write_text('{"type": "video"}')
    with pytest.raises(ValueError, match="task_0.*is of a video"):
        read(root, NO_SCHEME)
    manifest.write_text(before)
    annotations.write_text(json.dumps([{"shapes": [{"type": "points"}]}]))
    with pytest.raises(ValueError, match=r"\[0\].shapes\[0\]: expected an object with 'frame'"):
        read(root, NO_SCHEME)
    manifest.unlink()
    with pytest.raises(FileNotFoundError, match="manifest.jsonl; make the backup again"):
        read(root, NO_SCHEME)
    shutil.rmtree(root / "task_0")
    with pytest.raises(FileNotFoundError, match="no task in"):
        read(root, NO_SCHEME)
