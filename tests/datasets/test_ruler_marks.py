from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from equikpt.core.tables import frame_text
from equikpt.datasets.p1p2 import P1P2Dataset, RulerMarkDataset, _read_marks, square_around

HEIGHT_PX = 250  # of the drawn radiographs


@pytest.fixture
def build(sample_radiographs):
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
    lines += [",".join([name, *map(str, places)]) for name, places in rows.items()]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_names_come_back_from_the_table_of_radiographs(tmp_path):
    """As ``tools/test.py --report`` writes it, with names that a spreadsheet would run."""
    names = ["=1.png", "-a.png", "'b.png", "c.png"]
    columns = {f"{mark}_{axis}": [1.0, 2, 3, 4] for mark in ("p1", "p2") for axis in "xy"}
    (tmp_path / "films.csv").write_text(frame_text(pd.DataFrame({"radiograph": names, **columns})))
    assert list(_read_marks(tmp_path / "films.csv")) == names


def test_each_mark_is_a_sample_of_its_own(build):
    radiographs, marks = build(P1P2Dataset), build()
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


def test_training_squares_are_around_the_labels(build):
    marks = build(crop_fraction=0.2)
    gt = np.array([sample["keypoints"][0, sample["mark"]] for sample in marks])
    np.testing.assert_allclose(centres(marks), gt, atol=1e-3)
    boxes = np.array([sample["bbox"][0] for sample in marks])
    np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], 0.2 * HEIGHT_PX, rtol=1e-4)


def test_validation_squares_are_off_by_a_bounded_and_lasting_amount(build):
    options = dict(test_mode=True, crop_fraction=0.2, offset_fraction=0.1)
    marks, again = build(**options), build(**options)
    gt = np.array([sample["keypoints"][0, sample["mark"]] for sample in marks])
    offset = np.linalg.norm(centres(marks) - gt, axis=1)
    assert 0 < offset.min() < offset.max() <= 0.1 * 0.2 * HEIGHT_PX + 1e-3
    assert len(set(offset.round(4))) == len(marks)
    np.testing.assert_array_equal(centres(marks), centres(again))


def test_a_first_stage_says_where_to_look(build, tmp_path):
    places = {f"val_{number}.png": [number, 20, 30, 40 + number] for number in range(6)}
    found = build(test_mode=True, marks_file=write_marks(tmp_path / "films.csv", places))
    expected = [
        places[f"val_{number}.png"][2 * m : 2 * m + 2] for number in range(6) for m in (0, 1)
    ]
    np.testing.assert_allclose(centres(found), expected, atol=1e-4)


def test_a_radiograph_that_the_first_stage_did_not_see_is_named(build, tmp_path):
    file = write_marks(tmp_path / "films.csv", {"val_0.png": [1, 2, 3, 4]})
    with pytest.raises(ValueError, match=r"5 are not \(val_1\.png"):
        build(test_mode=True, marks_file=file)


def test_the_wrong_file_is_refused(build, tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.csv"):
        build(marks_file=str(tmp_path / "gone.csv"))
    (tmp_path / "other.csv").write_text("radiograph,p1_x\nval_0.png,3\n")
    with pytest.raises(ValueError, match="p2_y.* are not there"):
        build(marks_file=str(tmp_path / "other.csv"))


@pytest.mark.parametrize("options", [dict(crop_fraction=0), dict(offset_fraction=0.5)])
def test_fractions_out_of_range_are_refused(build, options):
    with pytest.raises(ValueError, match="expected crop_fraction above 0"):
        build(**options)


def test_a_square_lies_around_its_place():
    assert square_around(np.array([10.0, 20.0]), 8).tolist() == [6, 16, 14, 24]
