from __future__ import annotations

import json

import pytest

from equikpt.data_tools.project.parts import (
    GROUP_KEY,
    count_groups,
    divide,
    few_scored,
    find_groups,
)

CLIPS = [f"clip{clip}_{frame:03d}.png" for clip in range(10) for frame in range(3)]


@pytest.mark.parametrize(
    ("names", "first", "count"),
    [
        (CLIPS, "clip0", 10),
        ([name.replace("_", "/img") for name in CLIPS], "clip0", 10),
        ([f"{name[:-4]}_png.rf.{number:x}a.jpg" for number, name in enumerate(CLIPS)], "clip0", 10),
        ([f"a/{name}" for name in CLIPS], "a/clip0", 10),
        ([f"IMG_{number:04d}.jpg" for number in range(30)], "IMG_0000.jpg", 30),
        ([f"{name}-photo.jpg" for name in "abcdefghijkl"], "a-photo.jpg", 12),
        ([name for name in CLIPS if name < "clip3"], "clip0_000.png", 9),  # three are too few
        ([*CLIPS, *(f"clip9_{frame:03d}.png" for frame in range(10, 50))], "clip0_000.png", 70),
    ],
    ids=[
        "number",
        "folder",
        "Roboflow",
        "folder and number",
        "camera",
        "words",
        "few",
        "one large",
    ],
)
def test_names_show_videos_or_none(names, first, count):
    groups, why = find_groups(names)
    assert groups[0] == first
    assert len(set(groups)) == count
    assert why.startswith("by image" if count == len(names) else f"by {count} groups")


def test_a_rule_names_the_groups():
    groups, _ = find_groups(CLIPS[:6], r"^(clip\d)")
    assert set(groups) == {"clip0", "clip1"}
    with pytest.raises(ValueError):
        find_groups(CLIPS, "^(horse)")


def converted(root, names_of_parts: dict[str, list[str]], copies: int = 0):
    """Labels as conversion leaves them; the first image stands there ``copies`` times more."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    for part, names in names_of_parts.items():
        images, rows, pixels = [], [], None
        for number, name in enumerate(names, 1):
            path = root / "images" / part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if pixels is None or number > copies + 1:
                pixels = cv2.GaussianBlur(
                    rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), (0, 0), 2
                )
            cv2.imwrite(str(path), pixels)
            images.append(dict(id=number, file_name=name, width=64, height=64))
            rows.append(
                dict(id=number, image_id=number, category_id=1, bbox=[1, 1, 40, 40], area=800,
                     iscrowd=0, num_keypoints=1, keypoints=[9, 9, 2])
            )  # fmt: skip
        category = dict(id=1, name="cat", keypoints=["nose"])
        text = json.dumps(dict(images=images, annotations=rows, categories=[category]))
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"{part}.json").write_text(text)
    return root


def parts_of(root) -> dict[str, list[dict]]:
    paths = sorted((root / "annotations").glob("*.json"))
    return {path.stem: json.loads(path.read_text())["images"] for path in paths}


def test_a_video_is_in_one_part(tmp_path):
    divide(converted(tmp_path / "a", {"train": CLIPS}), tmp_path / "b")
    parts = parts_of(tmp_path / "b")
    assert set(parts) == {"train", "val"}  # 30 images are too few for a test
    groups = {part: {image[GROUP_KEY] for image in images} for part, images in parts.items()}
    assert not groups["train"] & groups["val"]
    files = {path.name for path in (tmp_path / "b/images/val").iterdir()}
    assert files == {image["file_name"] for image in parts["val"]}


@pytest.mark.parametrize("grouped", [True, False], ids=["videos", "single images"])
def test_annotations_name_their_group_where_there_are_any(tmp_path, grouped):
    letters = [f"{letter}.png" for letter in "abcdefghijklmnopqrstuvwxyz"]
    divide(converted(tmp_path / "a", {"train": CLIPS if grouped else letters}), tmp_path / "b")
    for path in (tmp_path / "b/annotations").glob("*.json"):
        content = json.loads(path.read_text())
        groups = {image["id"]: image[GROUP_KEY] for image in content["images"]}
        rows = content["annotations"]
        expected = [groups[row["image_id"]] if grouped else None for row in rows]
        assert [row.get(GROUP_KEY) for row in rows] == expected
        assert count_groups(content) == (len(set(groups.values())) if grouped else 0)


def test_ratios_are_the_users(tmp_path):
    divide(converted(tmp_path / "a", {"train": CLIPS}), tmp_path / "b", (0.4, 0.3, 0.3))
    sizes = {part: len(images) for part, images in parts_of(tmp_path / "b").items()}
    assert sizes == {"train": 12, "val": 9, "test": 9}


@pytest.mark.parametrize("copies", [3, 20])
def test_the_same_image_is_in_one_part_unless_that_were_all(tmp_path, copies):
    names = [f"{letter}.png" for letter in "abcdefghijklmnopqrstuvwx"]
    said = divide(converted(tmp_path / "a", {"train": names}, copies), tmp_path / "b")
    parts = parts_of(tmp_path / "b")
    homes = {part for part, images in parts.items() for image in images
             if image["file_name"] in names[: copies + 1]}  # fmt: skip
    assert len(homes) == (1 if copies == 3 else 2)
    assert ("kept together" in said[-1]) == (copies == 3)


@pytest.mark.parametrize(
    ("given", "made"),
    [(("train", "val"), {"train", "val"}), (("train", "test"), {"train", "val"}),
     (("train", "val", "test"), {"train", "val", "test"})],
)  # fmt: skip
def test_parts_of_the_source_stay(tmp_path, given, made):
    source = converted(tmp_path / "a", {part: [f"{part}.png"] for part in given})
    divide(source, tmp_path / "b")
    parts = parts_of(tmp_path / "b")
    assert set(parts) == made
    for part, (image,) in parts.items():
        assert (tmp_path / "b/images" / part / image["file_name"]).is_file()


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (("train", "val"), {"ratios": (0.5, 0.5)}),
        (("train", "val"), {"regex": "(a)"}),
        (("val", "test"), {}),
        (("train",), {}),  # one image
    ],
)
def test_parts_that_cannot_be_are_refused(tmp_path, given, options):
    source = converted(tmp_path / "a", {part: ["one.png"] for part in given})
    with pytest.raises(ValueError):
        divide(source, tmp_path / "b", **options)
    assert not (tmp_path / "b/annotations").exists()


def test_a_score_on_a_few_images_is_said_to_say_little():
    assert few_scored(dict(train=80, val=4, test=20)) == []
    assert few_scored(dict(train=80, val=20)) == []
    (line,) = few_scored(dict(train=5, val=1))
    assert "1 image " in line
    assert "4 images" in few_scored(dict(train=80, val=20, test=4))[0]
