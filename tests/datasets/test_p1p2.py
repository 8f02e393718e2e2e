import json

import cv2
import numpy as np
import pandas as pd
import pytest

from equikpt.core.tables import frame_text
from equikpt.datasets.p1p2 import P1P2Dataset, RulerMarkDataset, _read_marks, square_around
from tests.core.test_label_studio import point, task

SIZE_PX = (80, 100)


@pytest.fixture
def build(tmp_path):
    """``build(*rows, images)``: the data set of a Label Studio export, or of a COCO dict."""

    def make(*rows: dict, images: tuple[str, ...] = ("radiograph.png",)) -> P1P2Dataset:
        (tmp_path / "images").mkdir(exist_ok=True)
        for name in images:
            cv2.imwrite(str(tmp_path / "images" / name), np.zeros(SIZE_PX[::-1], np.uint8))
        content = rows[0] if "images" in rows[0] else list(rows)
        (tmp_path / "labels.json").write_text(json.dumps(content))
        return P1P2Dataset(
            data_root=str(tmp_path), ann_file="labels.json", data_prefix=dict(img="images"),
            pipeline=[], max_missing_share=0.5,
        )  # fmt: skip

    return make


@pytest.mark.parametrize("stated", [{}, dict(original_width=1968, original_height=2207)])
def test_percentages_become_px_of_the_image_whatever_the_export_states(build, stated):
    (sample,) = build(task(point("p1", 75, 50, **stated), point("p2", 25, 10, **stated)))
    np.testing.assert_allclose(sample["keypoints"], [[[60, 50], [20, 10]]])
    assert sample["keypoints_visible"].tolist() == [[1, 1]]


def test_uploads_are_found_and_doubled_marks_not_trained(build):
    (sample,) = build(task(point("p1", 75, 50), file_upload="0123abcd-radiograph.png"))
    assert sample["img_path"].endswith("images/radiograph.png")
    assert sample["keypoints_visible"].tolist() == [[1, 0]]
    (sample,) = build(task(point("p1", 75, 50), point("p2", 1, 1), point("p2", 2, 2)))
    assert sample["keypoints_visible"].tolist() == [[1, 0]]


def test_missing_radiographs_are_left_out(build):
    lost = task(point("p1", 75, 50), id=8, file_upload="lost.png")
    found = build(task(point("p1", 75, 50)), lost)
    assert [sample["img_path"].rsplit("/", 1)[1] for sample in found] == ["radiograph.png"]


def test_a_radiograph_labelled_turned_is_refused(build):
    with pytest.raises(ValueError, match="task 7 was labelled turned by 90°"):
        build(task(point("p1", 75, 50, image_rotation=90)))


def test_coco_gives_the_same_samples(build):
    coco = dict(
        images=[dict(id=1, file_name="radiograph.png", width=80, height=100)],
        annotations=[
            dict(
                id=1, image_id=1, category_id=1, bbox=[0, 0, 80, 100], area=8000, iscrowd=0,
                keypoints=[60, 50, 2, 20, 10, 2],
            )
        ],
        categories=[dict(id=1, name="ruler", keypoints=["p1", "p2"])],
    )  # fmt: skip
    (ours,) = build(coco)
    (exported,) = build(task(point("p1", 75, 50), point("p2", 25, 10)))
    for key in ("keypoints", "keypoints_visible", "bbox"):
        np.testing.assert_array_equal(ours[key], exported[key])


@pytest.mark.parametrize(("split", "first"), [("train", "001.jpg"), ("val", "151.jpg")])
def test_real_radiographs(real_data, split, first):
    radiographs = P1P2Dataset(
        data_root=str(real_data / "ceph_ruler"),
        ann_file=f"annotations_p1_p2_{split}.json",
        data_prefix=dict(img="images"),
        pipeline=[],
    )
    assert len(radiographs) == 150
    assert radiographs[0]["img_path"].endswith(first)
    marks = [radiograph["keypoints"][0] for radiograph in radiographs]
    distances = np.linalg.norm(np.diff(marks, axis=1)[:, 0], axis=1)
    assert 85 < min(distances) <= max(distances) < 87  # 20.6 mm on radiographs of 1000 px


# --- one mark a sample

HEIGHT_PX = 250  # of the drawn radiographs


@pytest.fixture
def build_marks(sample_radiographs):
    """``build(**options)``: the validation radiographs, a sample a mark."""

    def make(kind=RulerMarkDataset, **options):
        return kind(
            data_root=str(sample_radiographs), ann_file="annotations_p1_p2_val.json",
            data_prefix=dict(img="images"), pipeline=[], **options,
        )  # fmt: skip

    return make


def centres(samples) -> np.ndarray:
    boxes = np.array([sample["bbox"][0] for sample in samples])
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def write_marks(path, rows: dict[str, list[float]]) -> str:
    lines = ["radiograph,p1_x,p1_y,p2_x,p2_y"]
    lines += [",".join([name, *map(str, coords)]) for name, coords in rows.items()]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_names_come_back_from_the_table_of_radiographs(tmp_path):
    """As ``tools/test.py --report`` writes it, with names that a spreadsheet would run."""
    names = ["=1.png", "-a.png", "'b.png", "c.png"]
    columns = {f"{mark}_{axis}": [1.0, 2, 3, 4] for mark in ("p1", "p2") for axis in "xy"}
    (tmp_path / "films.csv").write_text(frame_text(pd.DataFrame({"radiograph": names, **columns})))
    assert list(_read_marks(tmp_path / "films.csv")) == names


def test_each_mark_is_a_sample_of_its_own(build_marks):
    radiographs, marks = build_marks(P1P2Dataset), build_marks()
    assert len(marks) == 2 * len(radiographs)
    for number, sample in enumerate(marks):
        radiograph, mark = radiographs[number // 2], number % 2
        assert sample["mark"] == mark
        assert sample["img_path"] == radiograph["img_path"]
        np.testing.assert_array_equal(sample["keypoints"], radiograph["keypoints"])
        visible = np.arange(2) == mark
        assert sample["keypoints_visible"].tolist() == [visible.tolist()]
        assert sample["keypoints_visibility"].tolist() == [(2 * visible).tolist()]
    assert len({sample["id"] for sample in marks}) == len(marks)


def test_training_squares_are_around_the_labels(build_marks):
    marks = build_marks(crop_fraction=0.2)
    gt = np.array([sample["keypoints"][0, sample["mark"]] for sample in marks])
    np.testing.assert_allclose(centres(marks), gt, atol=1e-3)
    boxes = np.array([sample["bbox"][0] for sample in marks])
    np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], 0.2 * HEIGHT_PX, rtol=1e-4)
    assert square_around(np.array([10.0, 20.0]), 8).tolist() == [6, 16, 14, 24]


def test_validation_squares_are_off_by_a_bounded_and_lasting_amount(build_marks):
    options = dict(test_mode=True, crop_fraction=0.2, offset_fraction=0.1)
    marks, again = build_marks(**options), build_marks(**options)
    gt = np.array([sample["keypoints"][0, sample["mark"]] for sample in marks])
    offset = np.linalg.norm(centres(marks) - gt, axis=1)
    assert 0 < offset.min() < offset.max() <= 0.1 * 0.2 * HEIGHT_PX + 1e-3
    assert len(set(offset.round(4))) == len(marks)
    np.testing.assert_array_equal(centres(marks), centres(again))


def test_squares_are_around_the_coords_of_a_first_stage(build_marks, tmp_path):
    coords = {f"val_{number}.png": [number, 20, 30, 40 + number] for number in range(6)}
    found = build_marks(test_mode=True, marks_file=write_marks(tmp_path / "films.csv", coords))
    expected = [
        coords[f"val_{number}.png"][2 * m : 2 * m + 2] for number in range(6) for m in (0, 1)
    ]
    np.testing.assert_allclose(centres(found), expected, atol=1e-4)


def test_files_that_do_not_fit_are_refused(build_marks, tmp_path):
    file = write_marks(tmp_path / "films.csv", {"val_0.png": [1, 2, 3, 4]})
    with pytest.raises(ValueError, match=r"5 are not \(val_1\.png"):
        build_marks(test_mode=True, marks_file=file)
    with pytest.raises(FileNotFoundError, match="gone.csv"):
        build_marks(marks_file=str(tmp_path / "gone.csv"))
    (tmp_path / "other.csv").write_text("radiograph,p1_x\nval_0.png,3\n")
    with pytest.raises(ValueError, match="p2_y"):
        build_marks(marks_file=str(tmp_path / "other.csv"))


@pytest.mark.parametrize("options", [dict(crop_fraction=0), dict(offset_fraction=0.5)])
def test_fractions_out_of_range_are_refused(build_marks, options):
    with pytest.raises(ValueError, match="crop_fraction"):
        build_marks(**options)
