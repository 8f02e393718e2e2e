from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from equikpt.metainfo.correspondence import (
    AP10K_FILE_NAMES,
    FACING_CAMERA,
    HORSE26,
    KEYPOINT_NAMES,
    NOTES,
    TABLE,
    index_pairs,
    mapping,
)
from equikpt.metainfo.horse26 import KEYPOINTS

PUBLIC = ("ap10k", "animalpose", "horse10")
SWAP = {keypoint.name: keypoint.swap or keypoint.name for keypoint in KEYPOINTS}


def mmpose_metainfo(dataset: str) -> dict:
    """MMPose's own description of a dataset, without importing MMPose."""
    folder = Path(find_spec("mmpose").origin).parent / ".mim" / "configs" / "_base_" / "datasets"
    scope: dict = {}
    exec((folder / f"{dataset}.py").read_text(), scope)
    return scope["dataset_info"]


@pytest.mark.parametrize(("dataset", "count"), [("ap10k", 17), ("animalpose", 20), ("horse10", 22)])
def test_keypoint_lists_are_those_of_mmpose(dataset, count):
    rows = mmpose_metainfo(dataset)["keypoint_info"]
    assert KEYPOINT_NAMES[dataset] == tuple(rows[index]["name"] for index in range(len(rows)))
    assert len(KEYPOINT_NAMES[dataset]) == count


@pytest.mark.parametrize("dataset", PUBLIC)
def test_keypoint_lists_are_those_of_real_files(real_data, dataset):
    file = real_data / "mmpose_samples" / dataset / f"test_{dataset}.json"
    names = tuple(json.loads(file.read_text())["categories"][0]["keypoints"])
    assert names == (KEYPOINT_NAMES | {"ap10k": AP10K_FILE_NAMES})[dataset]


def test_the_table_has_one_row_for_each_keypoint_in_order():
    assert tuple(row.horse26 for row in TABLE) == HORSE26


@pytest.mark.parametrize("dataset", PUBLIC)
def test_names_in_the_table_exist_and_go_to_one_row_unless_they_face_the_camera(dataset):
    names = [getattr(row, dataset) for row in TABLE if getattr(row, dataset)]
    assert {*names} <= {*KEYPOINT_NAMES[dataset]}
    assert {name for name in names if names.count(name) > 1} == {*FACING_CAMERA.get(dataset, ())}


@pytest.mark.parametrize("dataset", ["ap10k", "animalpose"])
def test_partners_map_to_partners(dataset):
    """The sources' own swaps, as MMPose knows them, agree with horse26's."""
    rows = mmpose_metainfo(dataset)["keypoint_info"].values()
    source_swap = {row["name"]: row["swap"] or row["name"] for row in rows}
    pairs = mapping(dataset)
    for source, target in pairs.items():
        assert pairs[source_swap[source]] == SWAP[target], source


def test_near_and_off_of_horse10_are_partners():
    pairs = mapping("horse10")
    near = [name for name in pairs if name.startswith("Near")]
    assert len(near) == 6
    for name in near:
        assert pairs[name][0] == "l"
        assert SWAP[pairs[name]] == pairs["Off" + name.removeprefix("Near")]


@pytest.mark.parametrize(
    ("dataset", "counts"),
    [("ap10k", (17, 17, 17)), ("animalpose", (19, 19, 19)), ("horse10", (14, 17, 17))],
)
def test_number_of_points_in_common(dataset, counts):
    found = [len(mapping(dataset, camera_side=side)) for side in (None, "left", "right")]
    assert tuple(found) == counts


@pytest.mark.parametrize("side", ["left", "right"])
def test_points_that_face_the_camera_follow_the_side(side):
    assert set(FACING_CAMERA["horse10"]).isdisjoint(mapping("horse10"))
    pairs = mapping("horse10", camera_side=side)
    assert {pairs[name] for name in FACING_CAMERA["horse10"]} == {
        f"{side[0]}_{place}" for place in ("eye", "elbow", "hip")
    }


def test_anatomy_decides_and_not_the_name():
    assert "Throat" not in mapping("animalpose")
    assert not {"Ischium", "Hip", "Shoulder"} & set(mapping("horse10", camera_side="left"))
    found = [mapping("ap10k")[name] for name in ("L_Shoulder", "L_Elbow", "L_Knee")]
    assert found == ["l_elbow", "l_knee", "l_hock"]
    assert mapping("animalpose")["R_B_Elbow"] == "r_hip"


@pytest.mark.parametrize("dataset", PUBLIC)
@pytest.mark.parametrize("camera_side", [None, "right"])
def test_there_and_back_again(dataset, camera_side):
    there = mapping(dataset, "horse26", camera_side)
    back = mapping("horse26", dataset, camera_side)
    assert {target: source for source, target in there.items()} == back


def test_two_sources_are_joined_by_rows():
    pairs = mapping("ap10k", "animalpose")
    assert pairs["L_Shoulder"] == "L_F_Elbow"
    assert pairs["Root of tail"] == "TailBase"
    assert "Neck" not in pairs


@pytest.mark.parametrize("dataset", PUBLIC)
def test_index_arrays_move_the_named_points(dataset):
    source, target = index_pairs(dataset, camera_side="left")
    points = np.array(KEYPOINT_NAMES[dataset], dtype=object)
    moved = np.full(26, "", dtype=object)
    moved[target] = points[source]
    expected = {row.horse26: getattr(row, dataset) for row in TABLE}
    for name, got in zip(HORSE26, moved, strict=True):
        facing = expected[name] in FACING_CAMERA.get(dataset, ())
        assert got == ("" if facing and name.startswith("r") else expected[name])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("horse11",), "'horse11'; there is one for horse26, ap10k"),
        (("ap10k", "coco"), "dataset 'coco'"),
        (("ap10k", "ap10k"), "both 'ap10k'"),
        (("horse10", "horse26", "near"), "camera_side is 'near'"),
    ],
    ids=["source", "target", "same", "side"],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        mapping(*arguments)


def test_notes_are_about_points_that_exist():
    assert all(keypoint in KEYPOINT_NAMES[dataset] for dataset, keypoint in NOTES)
    for dataset, keypoints in FACING_CAMERA.items():
        assert all((dataset, keypoint) in NOTES for keypoint in keypoints)
