import csv
import json
import math

import cv2
import numpy as np
import pytest

from equikpt.core.label_studio import Task
from equikpt.data_tools.verify.ruler import (
    Radiograph,
    examine,
    read_labels,
    sheet,
    summary,
    to_csv,
)
from tests.core.test_radiograph import write_dicom

WIDTH, HEIGHT = 200, 400


def marks(angle_deg: float = 0.0, distance: float = 40.0, foot=(100.0, 200.0)) -> dict:
    """Points in percent of a ruler that leans clockwise, distance in px."""
    lean = math.radians(angle_deg)
    top = foot[0] + distance * math.sin(lean), foot[1] - distance * math.cos(lean)
    return {
        name: ((100 * x / WIDTH, 100 * y / HEIGHT),) for name, (x, y) in (("p1", foot), ("p2", top))
    }


def rulers() -> list[Task]:
    """Twenty valid radiographs of unknown size, whose rulers vary a little."""
    generator = np.random.default_rng(0)
    return [
        Task(i, f"{i}.png", marks(generator.normal(0, 1), generator.normal(40, 0.4)))
        for i in range(20)
    ]


def equal(count: int, *odd: Task) -> list[Task]:
    return [*(task(marks(), f"{i}.png") for i in range(count)), *odd]


def task(points: dict, name: str = "odd.png", **more) -> Task:
    return Task("odd", name, points, **({"size_px": (WIDTH, HEIGHT)} | more))


def codes(radiographs: list[Radiograph]) -> dict[str, list[str]]:
    """Codes of the issues of each radiograph that has some, worst first."""
    return {each.name: [i.code for i in each.issues] for each in radiographs if each.issues}


GOOD = marks()
ODD = {
    "no p2": (dict(points={"p1": GOOD["p1"]}), ["mark_missing"]),
    "no labels": (dict(points={}), ["not_labelled"]),
    "p1 twice": (dict(points=GOOD | {"p1": GOOD["p1"] * 2}), ["mark_doubled"]),
    "another name": (dict(points=GOOD | {"P1": ((1.0, 1.0),)}), ["unknown_label"]),
    "upside down": (
        dict(points={"p1": GOOD["p2"], "p2": GOOD["p1"]}),
        ["marks_swapped", "angle_outlier"],
    ),
    "outside": (dict(points=marks(foot=(100, 401))), ["mark_outside"]),
    "too long": (dict(points=marks(distance=44)), ["distance_outlier"]),
    "leaning": (dict(points=marks(angle_deg=8)), ["angle_outlier"]),
    "turned": (dict(points=GOOD, rotation=90.0), ["labelled_turned"]),
    "labelled twice": (dict(points=GOOD, annotations=2), ["several_annotations"]),
}


@pytest.mark.parametrize(("odd", "expected"), ODD.values(), ids=ODD)
def test_each_mistake_is_found_and_nothing_else(odd, expected):
    valid = [task(each.points, each.file_name) for each in rulers()]
    radiographs = examine([*valid, task(**odd)])
    assert codes(radiographs) == {"odd.png": expected}
    assert radiographs[0].name == "odd.png"


@pytest.mark.parametrize(("distance", "is_outlier"), [(40.2, False), (41.1, True)])
def test_equal_rulers_are_no_reason_for_suspicion(distance, is_outlier):
    """Without a smallest spread, any rounding would be many sigmas away from a constant."""
    found = codes(examine(equal(20, task(marks(distance=distance)))))
    assert found == ({"odd.png": ["distance_outlier"]} if is_outlier else {})


def test_distances_without_any_size_are_in_percent():
    radiographs = examine(rulers())
    assert {each.unit for each in radiographs} == {"%"}
    assert radiographs[0].measures["distance"] == pytest.approx(10, abs=0.5)  # 40 of 400 px


def test_certain_mistakes_come_before_doubtful_ones():
    odd = (
        task(GOOD, "twice.png", annotations=2),
        task(marks(distance=80), "long.png"),
        task({"p1": GOOD["p1"]}, "half.png"),
    )
    assert list(codes(examine(equal(9, *odd)))) == ["half.png", "long.png", "twice.png"]


@pytest.fixture
def folder(tmp_path):
    """Images ``a.png``, ``copy.jpg`` of the same pixels, and ``other.png``, all gray."""
    images = tmp_path / "images"
    images.mkdir()
    flat = np.full((HEIGHT, WIDTH), 90, np.uint8)
    cv2.imwrite(str(images / "a.png"), flat)
    cv2.imwrite(str(images / "copy.tif"), flat)
    cv2.imwrite(str(images / "other.png"), flat + 1)
    (images / "notes.txt").write_text("no image")
    (images / "more").mkdir()
    cv2.imwrite(str(images / "more" / "below.png"), flat + 2)
    return images


def test_images_and_tasks_are_compared_both_ways(folder):
    (folder / "broken.png").write_text("no image")
    (folder / "half.dcm").write_text("none")
    names = ("0123abcd-a.png", "lost.png", "copy.tif", "broken.png")
    radiographs = examine(
        [*(task(GOOD, name) for name in names), task(GOOD, "other.png", size_px=(199, 400))], folder
    )
    assert codes(radiographs) == {
        "0123abcd-a.png": ["radiograph_duplicate"],
        "copy.tif": ["radiograph_duplicate"],
        "lost.png": ["radiograph_missing"],
        "other.png": ["radiograph_size"],
        "broken.png": ["radiograph_unreadable"],
        "half.dcm": ["not_labelled", "radiograph_unreadable"],
        "more/below.png": ["not_labelled"],
    }
    assert sheet([each for each in radiographs if each.name in ("broken.png", "lost.png")]) is None


def test_dicom_radiographs_are_compared_by_their_pixels(folder):
    pixels = np.random.default_rng(0).integers(0, 4096, (HEIGHT, WIDTH)).astype(np.uint16)
    for name, values in (("one.dcm", pixels), ("two.dcm", pixels), ("three.dcm", pixels + 1)):
        write_dicom(folder / name, values)
    found = codes(examine([task(GOOD, f"{name}.dcm") for name in ("one", "two", "three")], folder))
    assert found.pop("one.dcm") == found.pop("two.dcm") == ["radiograph_duplicate"]
    assert "three.dcm" not in found


def test_a_missing_folder_is_a_sentence(tmp_path):
    with pytest.raises(FileNotFoundError):
        examine([task(GOOD)], tmp_path / "none")


def test_coco_is_read_like_an_export(tmp_path):
    coco = dict(
        images=[dict(id=1, file_name="a.png", width=WIDTH, height=HEIGHT)],
        annotations=[dict(id=1, image_id=1, keypoints=[100, 200, 2, 0, 0, 0])],
        categories=[dict(id=1, name="ruler")],
    )
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(coco))
    (found,) = read_labels(path)
    assert found.points == {"p1": ((50.0, 50.0),)}
    assert found.size_px == (WIDTH, HEIGHT)


def test_the_csv_and_the_summary_name_the_suspects():
    radiographs = examine(equal(9, task(marks(distance=44))))
    (row,) = csv.DictReader(to_csv(each for each in radiographs if each.issues).splitlines())
    assert row["radiograph"] == "odd.png"
    assert float(row["distance"]) == pytest.approx(44)
    assert float(row["z_distance"]) == pytest.approx(20)  # 4 px, sigma 0.2
    assert float(row["p1_x_percent"]) == pytest.approx(50)
    assert "the set has 40.0 px" in row["mistakes"]
    lines = summary(examine(equal(9, task({}))))
    assert lines[0] == "10 tasks, 9 with both marks"
    assert "distance: median 40.00 px, from 40.00 to 40.00" in lines
    assert "    1  no labels" in lines
    assert lines[-1] == "1 of 10 radiographs need a look"


def test_the_sheet_shows_the_surroundings_of_the_marks(folder):
    radiographs = examine([task(GOOD, "a.png", annotations=2), task(GOOD, "lost.png")], folder)
    image = sheet([each for each in radiographs if each.issues and each.task])
    assert image.shape == (338, 320, 3)
    green = (image[..., 1] > 150) & (image[..., 2] < 120)
    assert green.sum() > 20  # the cross of p1
