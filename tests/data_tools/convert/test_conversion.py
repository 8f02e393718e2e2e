import os
import pkgutil
import shutil
from pathlib import Path

import numpy as np
import pytest

from equikpt.data_tools.convert import FORMATS, SCHEMES, TARGETS, format_table, writer
from equikpt.data_tools.convert.conversion import convert
from equikpt.data_tools.convert.reading import Reading
from equikpt.data_tools.convert.targets import find_target
from equikpt.datasets import Horse26Dataset
from tests.data_tools.convert.conftest import contents, edit, tree


def run(source: Path, output: Path, mapping: str, **options) -> list[str]:
    return convert("yolo-pose", source, output, mapping=mapping, **options).lines


@pytest.mark.parametrize("link", [False, True], ids=["copy", "link"])
def test_the_output_has_the_users_layout_and_trains(make_yolo, mapping_file, tmp_path, link):
    source, output = make_yolo(), tmp_path / "out"
    run(source, output, mapping_file, link=link)
    assert sorted(tree(output)) == [
        "annotations/train.json",
        "annotations/val.json",
        *(f"images/train/train{index}_jpg.rf.000{index}.jpg" for index in range(3)),
        *(f"images/val/valid{index}_jpg.rf.000{index}.jpg" for index in range(2)),
    ]
    image = "train0_jpg.rf.0000.jpg"
    before, after = source / "train/images" / image, output / "images/train" / image
    assert before.read_bytes() == after.read_bytes()
    assert os.path.samefile(before, after) is link
    dataset = Horse26Dataset(
        data_root=str(output),
        ann_file="annotations/train.json",
        data_prefix={"img": "images/train/"},
    )
    assert len(dataset) == 3
    np.testing.assert_allclose(dataset.get_data_info(0)["keypoints"][0, 12], [20, 20])


def test_the_report_says_mapping_notes_and_counts(make_yolo, mapping_file, tmp_path):
    text = "\n".join(run(make_yolo(), tmp_path / "out", mapping_file))
    assert "4 of 26 keypoints of horse26 have a source" in text
    assert "l_knee -> l_knee" in text
    assert "of the source, not used: poll" in text
    assert "note: the flip_idx of data.yaml is wrong" in text
    assert "train: 3 images, 3 animals, 6 points seen, 3 hidden" in text
    assert "val: 2 images, 2 animals, 4 points seen, 2 hidden" in text


def test_twice_gives_the_same_bytes_and_a_dry_run_none(make_yolo, mapping_file, tmp_path):
    source = make_yolo()
    for name in ("a", "b"):
        lines = run(source, tmp_path / name, mapping_file)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert run(source, tmp_path / "c", mapping_file, dry_run=True)[:-1] == lines[:-1]
    assert not (tmp_path / "c").exists()


def test_what_exists_is_kept_without_force_and_replaced_with_it(make_yolo, mapping_file, tmp_path):
    output = tmp_path / "out"
    run(make_yolo(), output, mapping_file)
    (output / "notes.txt").write_text("mine")
    before = tree(output)
    other = make_yolo(num_train=1, num_valid=1, name="other")
    with pytest.raises(FileExistsError):
        run(other, output, mapping_file)
    assert tree(output) == before
    run(other, output, mapping_file, overwrite=True)
    assert sorted(tree(output)) == [
        "annotations/train.json",
        "annotations/val.json",
        "images/train/train0_jpg.rf.0000.jpg",
        "images/val/valid0_jpg.rf.0000.jpg",
        "notes.txt",
    ]


@pytest.mark.parametrize("existing", [False, True], ids=["new", "over an old one"])
@pytest.mark.parametrize("step", ["copyfile", "replace"])
def test_an_interruption_leaves_nothing_that_looks_whole(
    make_yolo, mapping_file, tmp_path, monkeypatch, step, existing
):
    """Stopped at its third file operation, a split has either all its images or no JSON."""
    source, output = make_yolo(), tmp_path / "out"
    if existing:
        run(make_yolo(num_train=1, num_valid=1, name="older"), output, mapping_file)
    module = writer.shutil if step == "copyfile" else writer.os
    real, calls = getattr(module, step), []

    def stop(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(module, step, stop)
    with pytest.raises(KeyboardInterrupt):
        run(source, output, mapping_file, overwrite=True)
    monkeypatch.undo()

    assert not (output / writer.STAGING).exists()
    for split, content in contents(output).items():
        listed = {row["file_name"] for row in content["images"]}
        assert listed == {file.name for file in (output / "images" / split).iterdir()}
    run(source, output, mapping_file, overwrite=True)
    assert len(tree(output)) == 7


def test_what_a_killed_run_left_is_cleared(make_yolo, mapping_file, tmp_path):
    left = tmp_path / "out" / writer.STAGING / "images/train/half.jpg"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    run(make_yolo(), tmp_path / "out", mapping_file)
    assert not (tmp_path / "out" / writer.STAGING).exists()
    assert len(tree(tmp_path / "out")) == 7


def test_images_are_not_converted_onto_themselves(make_coco):
    root = make_coco()
    before = tree(root)
    with pytest.raises(ValueError, match="lie in the output folder"):
        convert("coco", root, root, target_name="coco", overwrite=True)
    assert tree(root) == before


def test_an_output_that_the_dataset_refuses_is_not_kept(make_yolo, mapping_file, tmp_path):
    """An image that is cut off passes the reader, which only needs its size."""
    root = make_yolo()
    path = root / "train/images/train0_jpg.rf.0000.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="damaged images"):
        run(root, tmp_path / "out", mapping_file)
    assert tree(tmp_path / "out") == {}


def test_labels_without_any_mapped_point_are_refused(make_yolo, mapping_file, tmp_path):
    root = make_yolo()
    for path in (root / "valid/labels").iterdir():
        path.write_text("0 0.5 0.5 0.8 0.6 0.1 0.1 2" + " 0 0 0" * 4)
    with pytest.raises(ValueError, match="no annotation to use"):
        run(root, tmp_path / "out", mapping_file)
    assert tree(tmp_path / "out") == {}


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        pytest.param({"format_name": "yolo"}, ValueError, "no format 'yolo'", id="format"),
        pytest.param({"source": Path("no/where")}, FileNotFoundError, "no no/where", id="source"),
        *(
            pytest.param({"target_name": name}, ValueError, "not a target keypoint", id=name)
            for name in ("coco17", "p1p2")
        ),
    ],
)
def test_wrong_arguments_are_refused(make_yolo, mapping_file, tmp_path, options, error, said):
    good = {"format_name": "yolo-pose", "source": make_yolo(), "output": tmp_path / "out"}
    with pytest.raises(error, match=said):
        convert(**good | {"mapping": mapping_file} | options)


def test_the_table_names_what_exists():
    for row in FORMATS.values():
        for reference in filter(None, (row.read, row.write, row.read_scored)):
            assert callable(pkgutil.resolve_name(reference))
    assert "horses16" in SCHEMES
    for target in filter(lambda target: target.keypoints, map(find_target, TARGETS)):
        metainfo = pkgutil.resolve_name(f"equikpt.datasets:{target.dataset}").METAINFO
        assert tuple(row["name"] for row in metainfo["keypoint_info"].values()) == target.names
    lines = format_table().splitlines()
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]] == list(FORMATS)
    assert len({line.count("|") for line in lines}) == 1


def test_labels_alone_need_no_images_and_leave_those_that_are_there(make_coco, tmp_path):
    root, output = make_coco(), tmp_path / "out"
    convert("coco", root, output, target_name="coco")
    before = tree(output / "images")
    shutil.rmtree(root / "images")
    with pytest.raises(FileNotFoundError, match="are missing"):
        convert("coco", root, output, target_name="coco", overwrite=True)
    convert("coco", root, output, target_name="coco", overwrite=True, labels_only=True)
    assert tree(output / "images") == before


def test_what_the_source_knows_more_of_reaches_the_output(make_coco, tmp_path):
    """Areas, crowds and outlines, which training and evaluation read."""
    root, output = make_coco(), tmp_path / "out"

    def change(content):
        content["annotations"][0] |= {"area": 77.5, "segmentation": [[1, 2, 3, 4, 5, 6]]}
        content["annotations"][1]["iscrowd"] = 1

    edit(root, change)
    convert("coco", root, output, target_name="coco")
    first, second, *_ = contents(output)["train"]["annotations"]
    assert (first["area"], first["segmentation"]) == (77.5, [[1, 2, 3, 4, 5, 6]])
    assert (first["iscrowd"], second["iscrowd"]) == (0, 1)


def test_a_split_without_animals_is_said_before_anything_is_written(make_coco, tmp_path):
    root = make_coco()
    edit(root, lambda content: [row.update(image_id="?") for row in content["annotations"]], "val")
    with pytest.raises(ValueError, match="'val'"):
        convert("coco", root, tmp_path / "out", target_name="coco")
    assert not (tmp_path / "out").exists()


def test_several_classes_are_not_made_one(make_coco, tmp_path):
    root = make_coco(names=("nose", "withers"))

    def change(content):
        content["categories"].append({**content["categories"][0], "id": 2, "name": "cow"})
        content["annotations"][0]["category_id"] = 2

    edit(root, change)
    with pytest.raises(ValueError, match="has the classes cow, horse"):
        convert("coco", root, tmp_path / "out")
    lines = convert("coco", root, tmp_path / "out", reading=Reading(classes=("horse",))).lines
    assert "note: 1 animals of other classes left out" in lines
    assert "train: 3 images, 3 animals, 3 points seen, 3 hidden" in lines
    # Where the source's keypoints stay, its classes do, too.
    convert("coco", root, tmp_path / "own", target_name="coco")
    written = contents(tmp_path / "own")["train"]
    assert [row["name"] for row in written["categories"]] == ["cow", "horse"]
    assert [row["category_id"] for row in written["annotations"]] == [1, 2, 2, 2]


def test_an_animal_without_a_box_gets_one_around_its_points(make_coco, tmp_path):
    root = make_coco(names=("nose", "withers"), animals=1)

    def change(content):
        content["annotations"][0] |= {"bbox": [], "keypoints": [10, 10, 2, 30, 20, 1]}
        content["annotations"][1] |= {"bbox": [], "keypoints": [0] * 6}

    edit(root, change, "val")
    text = "\n".join(convert("coco", root, tmp_path / "out").lines)
    assert (
        "val: instances without a box: one is made around their points, with a margin of 10%"
        in text
    )
    assert "val: instances with neither a box nor a point left out (val_2.png)" in text
    (row,) = contents(tmp_path / "out")["val"]["annotations"]
    assert row["bbox"] == [8, 8, 24, 14]


def test_the_box_of_a_radiograph_is_the_radiograph(make_coco, tmp_path):
    root = make_coco(names=("p1", "p2"), animals=1)
    convert("coco", root, tmp_path / "out", target_name="p1p2")
    content = contents(tmp_path / "out")["train"]
    row, image = content["annotations"][0], content["images"][0]
    assert row["bbox"] == [0, 0, image["width"], image["height"]]
    assert row["area"] == image["width"] * image["height"]
    two = make_coco(names=("p1", "p2"), animals=2, name="two")
    with pytest.raises(ValueError, match="p1p2"):
        convert("coco", two, tmp_path / "other", target_name="p1p2")


def test_the_public_set_converts(real_data, tmp_path):
    lines = run(real_data / "horses16", tmp_path, "horses16", link=False)
    found = contents(tmp_path)
    assert {split: len(content["images"]) for split, content in found.items()} == {
        "train": 333,
        "val": 93,
    }
    assert not any("removed" in line for line in lines)
    # four source names occur in both splits, of other images
    assert sum("show something else, kept" in line for line in lines) == 1
    keypoints = np.array([row["keypoints"] for row in found["train"]["annotations"]])
    counts = (keypoints[:, 2::3] > 0).sum(axis=0)
    assert (counts > 0).sum() == 12
    # Counted in the label files with another script.
    count_of = dict(zip(find_target("horse26").names, counts, strict=True))
    assert (count_of["nose"], count_of["withers"], count_of["l_hock"]) == (331, 305, 232)


def test_hidden_points_of_the_public_set_are_on_the_far_side(real_data, tmp_path):
    """A horse that looks to the right shows its right side: so left and right are not mixed up."""
    convert("yolo-pose", real_data / "horses16", tmp_path, mapping="horses16", link=False)
    index = {name: index for index, name in enumerate(find_target("horse26").names)}
    hidden: dict[str, list[bool]] = {"near": [], "far": []}
    for annotation in contents(tmp_path)["train"]["annotations"]:
        points = np.array(annotation["keypoints"]).reshape(26, 3)
        nose, withers = points[index["nose"]], points[index["withers"]]
        if min(nose[2], withers[2]) == 0 or abs(nose[0] - withers[0]) < 100:
            continue
        near = "r" if nose[0] > withers[0] else "l"
        for side in "lr":
            for joint in ("elbow", "knee", "hock"):
                visibility = points[index[f"{side}_{joint}"], 2]
                if visibility:
                    hidden["near" if side == near else "far"].append(visibility == 1)
    assert len(hidden["near"]) > 300
    assert np.mean(hidden["near"]) < 0.05
    assert np.mean(hidden["far"]) > 0.2
