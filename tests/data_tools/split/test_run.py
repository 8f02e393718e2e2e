from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from equikpt.core.groups import GroupRule
from equikpt.data_tools.split import run
from equikpt.data_tools.split.division import Division
from equikpt.data_tools.split.run import SplitOptions, split
from tests.data_tools.split.conftest import herd
from tests.data_tools.test_near_duplicates import compressed, drawn_image

BY_VIDEO = GroupRule(key="video")
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


OPTIONS = [
    pytest.param(SplitOptions(), id="images"),
    pytest.param(SplitOptions(stratify=True), id="balanced images"),
    pytest.param(SplitOptions(THIRDS, BY_VIDEO), id="videos"),
    pytest.param(SplitOptions(THIRDS, BY_VIDEO, stratify=True), id="balanced videos"),
    pytest.param(SplitOptions(Division(counts=("rest", 6)), BY_VIDEO), id="counts"),
]


@pytest.mark.parametrize("options", OPTIONS)
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


@pytest.mark.parametrize("options", OPTIONS)
def test_the_order_of_the_file_does_not_matter_and_the_seed_does(tmp_path, options):
    content = herd()
    turned = {**content, "images": content["images"][::-1],
              "annotations": content["annotations"][::-1]}  # fmt: skip
    other_seed = SplitOptions(options.division, options.rule, stratify=options.stratify, seed=1)
    for name, rows, how in (("a", content, options), ("b", turned, options),
                            ("c", content, other_seed)):  # fmt: skip
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


@pytest.mark.parametrize("link", [True, False], ids=["link", "copy"])
def test_images_are_written_only_when_asked(tmp_path, content, link):
    for image in content["images"]:
        path = tmp_path / "images" / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2_png(image["id"]))
    gone = content["images"][3]["file_name"]
    (tmp_path / "images" / gone).unlink()
    ann_file = write(tmp_path / "all.json", content)
    split(ann_file, tmp_path / "labels", SplitOptions(img_dir=tmp_path / "images"))
    assert not (tmp_path / "labels" / "images").exists()
    options = SplitOptions(img_dir=tmp_path / "images", images="link" if link else "copy")
    lines = split(ann_file, tmp_path / "out", options)
    assert f"1 of 30 images are missing on disk ({gone})" in "\n".join(lines)
    for name, part in read(tmp_path / "out").items():
        folder = tmp_path / "out" / "images" / Path(name).stem
        files = {str(p.relative_to(folder)) for p in folder.rglob("*.png")}
        assert files == names(part) - {gone}
        for file in files:
            source = tmp_path / "images" / file
            assert (folder / file).samefile(source) == link
            assert (folder / file).read_bytes() == source.read_bytes()


def cv2_png(seed: int) -> bytes:
    import cv2

    return cv2.imencode(".png", drawn_image(seed, 80, 100))[1].tobytes()


@pytest.fixture
def with_copies(tmp_path, content) -> tuple[Path, Path]:
    """The labels, and images of which every video has one that is in the next video too."""
    import cv2

    folder = tmp_path / "images"
    first_of = {}
    for image in content["images"]:
        first_of.setdefault(image["video"], image)
        path = folder / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), drawn_image(image["id"], 120, 160))
    firsts = list(first_of.values())
    for image, source in zip(firsts[1::2], firsts[::2], strict=True):
        again = compressed(drawn_image(source["id"], 120, 160))
        cv2.imwrite(str(folder / image["file_name"]), again)
    return write(tmp_path / "all.json", content), folder


def test_near_duplicates_in_two_parts_are_refused_told_or_kept_together(tmp_path, with_copies):
    ann_file, folder = with_copies
    with pytest.raises(ValueError, match=r"nearly the same would be parted \(.* in train and"):
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
    with pytest.raises(FileExistsError, match="--force"):
        split(ann_file, out, SplitOptions(seed=1))
    assert read(out) == before
    split(ann_file, out, SplitOptions(seed=1, force=True))
    assert read(out) != before
    two = SplitOptions(Division(ratios=(0.5, 0.5)), force=True)
    with pytest.raises(FileExistsError, match=r"another division \(test\)"):
        split(ann_file, out, two)  # test.json would overlap with the new train.json


def test_folds_are_replaced_together_or_not_at_all(tmp_path, content, monkeypatch):
    ann_file, out = write(tmp_path / "all.json", content), tmp_path / "out"
    split(ann_file, out, SplitOptions(Division(folds=3)))
    before, move, moves = read(out), os.replace, []

    def stop(*arguments):
        moves.append(arguments)
        if len(moves) == 10:
            raise KeyboardInterrupt
        move(*arguments)

    other = SplitOptions(Division(folds=3), seed=1, force=True)
    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        split(ann_file, out, other)
    assert read(out) == before
    split(ann_file, out, other)
    assert read(out) != before


def spoil(content: dict, part: str, row: int, **changes) -> dict:
    content[part][row] |= changes
    return content


MISTAKES = [
    (lambda c: spoil(c, "images", 1, id=1), SplitOptions(), "images of the same id"),
    (lambda c: c, SplitOptions(rule=GroupRule(key="horse")), "its keys are"),
    (lambda c: c, SplitOptions(rule=GroupRule(regex="(v)")), "1 groups do not fill 3 parts"),
    (lambda c: {**c, "annotations": c["annotations"][:1]}, SplitOptions(), "without a single"),
    (lambda c: c, SplitOptions(near_duplicates=True), "--img-dir"),
    (lambda c: c, SplitOptions(images="copy"), "--img-dir"),
]


@pytest.mark.parametrize(("change", "options", "words"), MISTAKES)
def test_mistakes_are_one_sentence_and_nothing_is_written(
    tmp_path, content, change, options, words
):
    ann_file = write(tmp_path / "all.json", change(content))
    with pytest.raises(ValueError, match=words):
        split(ann_file, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_a_part_that_lost_an_annotation_is_never_put_in_place(tmp_path, content, monkeypatch):
    sound = run._part

    def careless(*arguments):
        part = sound(*arguments)
        return {**part, "annotations": part["annotations"][1:]}

    monkeypatch.setattr(run, "_part", careless)
    with pytest.raises(ValueError, match="annotations .* are not those of the source"):
        split(write(tmp_path / "all.json", content), tmp_path / "out", SplitOptions(THIRDS))
    assert list((tmp_path / "out").rglob("*.json")) == []


def test_no_image_leaves_its_folder(tmp_path, content):
    content["images"][0]["file_name"] = "../outside.png"
    (tmp_path / "outside.png").write_bytes(cv2_png(1))
    (tmp_path / "images").mkdir()
    ann_file = write(tmp_path / "all.json", content)
    options = SplitOptions(img_dir=tmp_path / "images", images="copy")
    with pytest.raises(ValueError, match="no path below"):
        split(ann_file, tmp_path / "out", options)
