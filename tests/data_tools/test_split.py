import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from equikpt.core.groups import GroupRule
from equikpt.data_tools import split as split_module
from equikpt.data_tools.split import Division, SplitOptions, split
from equikpt.data_tools.split_assignment import count_images, make_units, part_table
from tests.data_tools.test_near_duplicates import compressed, drawn_image

NAMES = ("nose", "l_knee", "r_knee", "tail")


def herd(lengths=(8, 5, 4, 3, 3, 2, 2, 1, 1, 1), seed: int = 0) -> dict:
    """The content of a file: a video of each length, with one or two horses an image.

    How much is labelled and how large the horses are differs from video to video.
    """
    rng = np.random.default_rng(seed)
    images, annotations = [], []
    for video, length in enumerate(lengths):
        fraction, side = rng.uniform(0.2, 1), rng.uniform(20, 90)
        for frame in range(length):
            number = len(images) + 1
            images.append(
                dict(id=number, file_name=f"v{video}/{frame:03d}.png", width=200, height=150,
                     video=f"v{video}")
            )  # fmt: skip
            for _ in range(rng.integers(1, 3)):
                width = round(side * rng.uniform(0.9, 1.1), 1)
                seen = np.where(rng.random(4) < fraction, rng.integers(1, 3, 4), 0)
                seen[0] = 2
                points = np.column_stack([rng.uniform(5, 95, (4, 2)).round(1), seen])
                points[seen == 0] = 0
                annotations.append(
                    dict(id=len(annotations) + 1, image_id=number, category_id=1, iscrowd=0,
                         bbox=[1, 1, width, side], area=width * side / 2,
                         num_keypoints=int((seen > 0).sum()), keypoints=points.ravel().tolist())
                )  # fmt: skip
    return dict(
        info=dict(year=2024),
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name="horse", keypoints=list(NAMES))],
    )


@pytest.fixture
def content() -> dict:
    return herd()


BY_VIDEO = GroupRule(key="video")
FOLDS = Division(folds=3)
THIRDS = Division(ratios=(0.5, 0.25, 0.25))


def write(path: Path, content: dict) -> Path:
    path.write_text(json.dumps(content))
    return path


def read(root: Path) -> dict[str, dict]:
    return {
        str(path.relative_to(root)): json.loads(path.read_text()) for path in root.rglob("*.json")
    }


def names(content: dict) -> set[str]:
    return {image["file_name"] for image in content["images"]}


OPTIONS = {
    "images": SplitOptions(),
    "balanced images": SplitOptions(stratify=True),
    "videos": SplitOptions(THIRDS, BY_VIDEO),
    "balanced videos": SplitOptions(THIRDS, BY_VIDEO, stratify=True),
    "counts": SplitOptions(Division(counts=("rest", 6)), BY_VIDEO),
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_every_image_and_annotation_is_in_one_part_unchanged(tmp_path, content, options):
    split(write(tmp_path / "all.json", content), tmp_path / "out", options)
    parts = list(read(tmp_path / "out").values())
    assert len(parts) == len(options.division.names())
    for rows in ("images", "annotations"):
        found = sorted((row for part in parts for row in part[rows]), key=lambda row: row["id"])
        assert found == content[rows]
    for part in parts:
        ids = {image["id"] for image in part["images"]}
        assert {row["image_id"] for row in part["annotations"]} <= ids
        assert part["categories"] == content["categories"]
        assert part["info"] == content["info"]
    if options.rule is BY_VIDEO:
        videos = [{image["video"] for image in part["images"]} for part in parts]
        assert sum(map(len, videos)) == len(set.union(*videos))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_order_of_the_file_does_not_matter_and_the_seed_does(tmp_path, options):
    content = herd()
    turned = content | {part: content[part][::-1] for part in ("images", "annotations")}
    other_seed = replace(options, seed=1)
    for name, rows, how in zip(
        "abc", (content, turned, content), (options, options, other_seed), strict=True
    ):
        split(write(tmp_path / f"{name}.json", rows), tmp_path / name, how)
    a, b, c = ({key: names(part) for key, part in read(tmp_path / name).items()} for name in "abc")
    assert a == b
    assert a != c


def test_folds_hold_each_image_out_once(tmp_path, content):
    options = SplitOptions(Division(folds=4), BY_VIDEO)
    split(write(tmp_path / "all.json", content), tmp_path / "out", options)
    everything, held_out = names(content), []
    for number in range(4):
        fold = read(tmp_path / "out" / f"fold_{number}" / "annotations")
        assert set(fold) == {"train.json", "val.json"}
        train, val = names(fold["train.json"]), names(fold["val.json"])
        assert train | val == everything
        assert not train & val
        held_out += sorted(val)
    assert sorted(held_out) == sorted(everything)


def draw_images(folder: Path, content: dict) -> dict[str, np.ndarray]:
    """An image for each that is listed, no two alike."""
    drawn = {image["file_name"]: drawn_image(image["id"], 80, 100) for image in content["images"]}
    for name, pixels in drawn.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), pixels)
    return drawn


@pytest.mark.parametrize("images", ["link", "copy"])
def test_images_are_written_only_when_asked(tmp_path, content, images):
    folder, gone = tmp_path / "images", content["images"][3]["file_name"]
    draw_images(folder, content)
    (folder / gone).unlink()
    ann_file = write(tmp_path / "all.json", content)
    split(ann_file, tmp_path / "labels", SplitOptions(img_dir=folder))
    assert not (tmp_path / "labels" / "images").exists()
    lines = split(ann_file, tmp_path / "out", SplitOptions(img_dir=folder, images=images))
    assert f"1 of 30 images are missing on disk ({gone})" in "\n".join(lines)
    for name, part in read(tmp_path / "out").items():
        written = tmp_path / "out" / "images" / Path(name).stem
        files = {str(p.relative_to(written)) for p in written.rglob("*.png")}
        assert files == names(part) - {gone}
        for file in files:
            assert (written / file).samefile(folder / file) == (images == "link")
            assert (written / file).read_bytes() == (folder / file).read_bytes()


@pytest.fixture
def with_copies(tmp_path, content) -> tuple[Path, Path]:
    """The labels, and images of which every video has one that is in the next video too."""
    folder = tmp_path / "images"
    drawn = draw_images(folder, content)
    firsts = [name for name in drawn if name.endswith("000.png")]
    for name, source in zip(firsts[1::2], firsts[::2], strict=True):
        cv2.imwrite(str(folder / name), compressed(drawn[source]))
    return write(tmp_path / "all.json", content), folder


def test_near_duplicates_in_two_parts_are_refused_told_or_kept_together(tmp_path, with_copies):
    ann_file, folder = with_copies
    with pytest.raises(ValueError, match=r"nearly the same .* in train and"):
        split(ann_file, tmp_path / "no", SplitOptions(THIRDS, BY_VIDEO, folder))
    assert not (tmp_path / "no").exists()
    allowed = SplitOptions(THIRDS, BY_VIDEO, folder, allow_near_duplicates=True)
    assert "nearly the same are parted" in "\n".join(split(ann_file, tmp_path / "yes", allowed))
    together = SplitOptions(THIRDS, BY_VIDEO, folder, near_duplicates=True)
    lines = "\n".join(split(ann_file, tmp_path / "out", together))
    assert "nearly the same: 5, none parted" in lines
    videos = [{i["video"] for i in part["images"]} for part in read(tmp_path / "out").values()]
    for number in range(0, 10, 2):
        assert sum({f"v{number}", f"v{number + 1}"} <= part for part in videos) == 1


def test_balance_shows_in_the_table(tmp_path):
    ann_file = write(tmp_path / "all.json", herd(lengths=(1,) * 200))
    table = split(ann_file, tmp_path / "out", SplitOptions(stratify=True))[0]
    for keypoint in ("l_knee", "r_knee", "tail"):
        (line,) = (line for line in table.splitlines() if line.strip().startswith(keypoint))
        _, _, train, _, _, val, _, _, test, _, _ = line.split()
        np.testing.assert_allclose([float(train), float(val), float(test)], [80, 10, 10], atol=2)


def test_what_is_there_is_not_replaced_unasked(tmp_path, content):
    ann_file, out = write(tmp_path / "all.json", content), tmp_path / "out"
    split(ann_file, out, SplitOptions())
    before = read(out)
    with pytest.raises(FileExistsError, match="exists"):
        split(ann_file, out, SplitOptions(seed=1))
    assert read(out) == before
    split(ann_file, out, SplitOptions(seed=1, overwrite=True))
    assert read(out) != before
    two = SplitOptions(Division(ratios=(0.5, 0.5)), overwrite=True)
    with pytest.raises(FileExistsError, match=r"another division \(test\)"):
        split(ann_file, out, two)  # test.json would overlap with the new train.json


def test_folds_are_replaced_together_or_not_at_all(tmp_path, content, monkeypatch):
    ann_file, out = write(tmp_path / "all.json", content), tmp_path / "out"
    split(ann_file, out, SplitOptions(FOLDS))
    before, move, moves = read(out), os.replace, []

    def stop(*arguments):
        moves.append(arguments)
        if len(moves) == 10:
            raise KeyboardInterrupt
        move(*arguments)

    other = SplitOptions(FOLDS, seed=1, overwrite=True)
    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        split(ann_file, out, other)
    assert read(out) == before
    split(ann_file, out, other)
    assert read(out) != before


@pytest.mark.parametrize(
    ("change", "options", "error"),
    [
        (lambda c: c["images"][1].update(id=1), {}, ValueError),
        (lambda c: None, dict(rule=GroupRule(key="horse")), ValueError),
        (lambda c: None, dict(rule=GroupRule(regex="(v)")), ValueError),
        (lambda c: c.update(annotations=c["annotations"][:1]), {}, ValueError),
        (lambda c: None, dict(near_duplicates=True), ValueError),
        (lambda c: None, dict(images="copy"), ValueError),
        (lambda c: None, dict(division=FOLDS, images="copy", img_dir=Path()), ValueError),
        (lambda c: None, dict(img_dir=Path("nowhere")), FileNotFoundError),
    ],
    ids=["id twice", "no key", "one group", "bare part", "no img_dir to compare",
         "no img_dir to copy", "copies of folds", "no folder"],
)  # fmt: skip
def test_mistakes_are_one_sentence_and_nothing_is_written(
    tmp_path, content, change, options, error
):
    change(content)
    ann_file = write(tmp_path / "all.json", content)
    with pytest.raises(error) as raised:
        split(ann_file, tmp_path / "out", SplitOptions(**options))
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_part_that_lost_an_annotation_is_never_put_in_place(tmp_path, content, monkeypatch):
    whole = split_module._part

    def careless(*arguments):
        part = whole(*arguments)
        return {**part, "annotations": part["annotations"][1:]}

    monkeypatch.setattr(split_module, "_part", careless)
    with pytest.raises(ValueError, match="not those of the source"):
        split(write(tmp_path / "all.json", content), tmp_path / "out", SplitOptions(THIRDS))
    assert list((tmp_path / "out").rglob("*.json")) == []


def test_no_image_leaves_its_folder(tmp_path, content):
    draw_images(tmp_path / "images", content)
    content["images"][0]["file_name"] = "../outside.png"
    cv2.imwrite(str(tmp_path / "outside.png"), drawn_image(1))
    ann_file = write(tmp_path / "all.json", content)
    options = SplitOptions(img_dir=tmp_path / "images", images="copy")
    with pytest.raises(ValueError, match="no path below"):
        split(ann_file, tmp_path / "out", options)


def test_every_part_is_counted(content):
    for row in content["annotations"]:
        row["keypoints"][9:] = [0, 0, 0]  # the tail
    images = content["images"]
    units = make_units(images, GroupRule(key="video"))
    counts = count_images(images, content["annotations"], NAMES)
    parts = np.where(units < 3, 1, 0)  # videos 0, 1 and 2 are val
    head, *rows, last = part_table(counts, units, parts, ("train", "val")).splitlines()
    assert head.split() == ["train", "val", "all"]
    assert last == "labelled nowhere: tail"
    cells = {row[:24].strip(): row[24:].split() for row in rows}
    assert cells["images"] == ["13", "43.3", "%", "17", "56.7", "%", "30"]
    assert cells["groups"] == ["7", "70.0", "%", "3", "30.0", "%", "10"]
    assert "tail" not in cells
    in_val = {image["id"] for image in images if image["video"] in ("v0", "v1", "v2")}
    knees = [row["keypoints"][5] for row in content["annotations"] if row["image_id"] in in_val]
    assert cells["l_knee"][3] == str(np.count_nonzero(knees))
    for unit in ("px", "points"):
        ends = [int(values[-1]) for name, values in cells.items() if name.endswith(unit)]
        assert len(content["annotations"]) in (sum(ends), sum(ends) - ends[-1])


DIVISIONS = {
    # of twenty images
    Division(ratios=(0.8, 0.1, 0.1)): dict(train=16, val=2, test=2),
    Division(ratios=(0.5, 0.5)): dict(train=10, val=10),
    Division(counts=(12, 5, 3)): dict(train=12, val=5, test=3),
    Division(counts=("rest", 5)): dict(train=15, val=5),
    Division(folds=3): dict(fold_0=7, fold_1=7, fold_2=6),
}


@pytest.mark.parametrize(("division", "sizes"), DIVISIONS.items())
def test_names_and_sizes_of_twenty_images(division, sizes):
    assert dict(zip(division.names(), division.targets(20), strict=True)) == sizes


@pytest.mark.parametrize(
    "options",
    [
        *({}, dict(ratios=(0.5, 0.5), folds=3), dict(folds=1), dict(folds=0), dict(folds=21)),
        *(dict(ratios=ratios) for ratios in ((0.8, 0.1), (1.2, -0.2), (1.0,))),
        *(dict(counts=counts) for counts in ((1, 2, 3, 4), (0, 20), ("rest", "rest"))),
        *(dict(counts=counts) for counts in ((12, 5), (12, 9), ("rest", 20))),
    ],
    ids=str,
)
def test_a_division_that_cannot_be_meant_of_twenty_images_is_refused(options):
    with pytest.raises(ValueError, match="expected|20 images"):
        Division(**options).targets(20)
