import json

import cv2
import numpy as np
import pytest

from equikpt.data_tools.convert.grouping import SEVERAL
from equikpt.data_tools.convert.label_studio import read, read_predictions
from equikpt.data_tools.convert.schemes import NO_SCHEME, KeypointScheme

WIDTH, HEIGHT = 200, 100


def region(kind, label, value, more) -> dict:
    size = {"original_width": WIDTH, "original_height": HEIGHT}
    return {"type": kind, "value": {**value, kind: [label]}, **size, **more}


def point(label, x, y, **more) -> dict:
    return region("keypointlabels", label, {"x": x, "y": y, "width": 0.5}, more)


def rectangle(label, x, y, width, height, rotation=0, **more) -> dict:
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": rotation}
    return region("rectanglelabels", label, value, more)


@pytest.fixture
def export(tmp_path):
    def make(*regions, **row) -> str:
        task = {"id": 5, "data": {"image": "/data/upload/1/0123abcd-a.png"}}
        task |= {"annotations": [{"result": list(regions)}], **row}
        path = tmp_path / "export.json"
        path.write_text(json.dumps([task]))
        return path

    return make


def only(dataset):
    (image,) = dataset.splits[""]
    return image


def test_percentages_become_pixels(export):
    dataset = read(export(point("p1", 10, 20), point("p2", 50, 80)), NO_SCHEME)
    image = only(dataset)
    (instance,) = image.instances
    assert dataset.keypoints == ("p1", "p2")
    assert (image.width, image.height) == (WIDTH, HEIGHT)
    np.testing.assert_allclose(instance.keypoints, [[20, 20, 2], [100, 80, 2]])
    assert instance.box_px is None
    assert dataset.notes == []


def test_the_image_goes_before_the_stated_size(export, tmp_path):
    """Under its name before the upload, too."""
    path = export(point("p1", 10, 20))
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((30, 60, 3), np.uint8))
    image = only(read(path, NO_SCHEME))
    assert (image.file_name, image.width, image.height) == ("a.png", 60, 30)
    np.testing.assert_allclose(image.instances[0].keypoints, [[6, 6, 2]])


def test_animals_by_parent_and_by_rectangle(export):
    dataset = read(
        export(
            rectangle("horse", 0, 0, 40, 100, id="a"),
            rectangle("foal", 50, 0, 40, 100, id="b"),
            point("nose", 70, 50, parentID="a"),
            point("nose", 60, 50),
        ),
        NO_SCHEME,
    )
    horse, foal = only(dataset).instances
    assert (horse.category, foal.category) == ("horse", "foal")
    assert horse.box_px == pytest.approx((0, 0, 80, 100))
    np.testing.assert_allclose(horse.keypoints[0], [140, 50, 2])
    np.testing.assert_allclose(foal.keypoints[0], [120, 50, 2])


def test_a_point_may_be_the_parent(export):
    regions = [
        point("nose", 10, 10, id="a"),
        point("tail", 20, 10, parentID="a"),
        point("nose", 60, 10),
    ]
    first, second = only(read(export(*regions), NO_SCHEME)).instances
    assert (first.keypoints[:, 2] > 0).tolist() == [True, True]
    assert (second.keypoints[:, 2] > 0).tolist() == [True, False]


def relation(first, second) -> dict:
    return {"type": "relation", "from_id": first, "to_id": second, "direction": "right"}


def test_relations_tie_points_to_their_rectangle(export):
    """Both rectangles hold all points; the relations tell, also where one point ties another."""
    regions = [
        rectangle("mare", 0, 0, 90, 90, id="a"),
        rectangle("foal", 5, 5, 80, 80, id="b"),
        point("nose", 10, 10, id="c"),
        point("tail", 20, 10, id="d"),
        point("nose", 30, 10, id="e"),
        relation("c", "a"),
        relation("d", "c"),
        relation("b", "e"),
        relation("a", "b"),
    ]
    mare, foal = only(read(export(*regions), NO_SCHEME)).instances
    np.testing.assert_allclose(mare.keypoints, [[20, 10, 2], [40, 10, 2]])
    np.testing.assert_allclose(foal.keypoints, [[60, 10, 2], [0, 0, 0]])


def test_images_of_one_name_keep_their_folders(tmp_path):
    (tmp_path / "clips").mkdir()
    tasks = []
    for clip in ("a", "b"):
        (tmp_path / "clips" / clip).mkdir()
        cv2.imwrite(str(tmp_path / "clips" / clip / "1.png"), np.zeros((30, 60, 3), np.uint8))
        data = {"image": f"/data/local-files/?d=clips/{clip}/1.png"}
        tasks.append({"id": clip, "data": data, "annotations": [{"result": [point("p", 1, 1)]}]})
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    images = list(read(tmp_path / "export.json", NO_SCHEME, tmp_path).images())
    assert [image.file_name for image in images] == ["a/1.png", "b/1.png"]
    assert [image.path for image in images] == [tmp_path / f"clips/{clip}/1.png" for clip in "ab"]


def turned(x, y, degrees):
    """A point of the image, in percent, as it lies in the image turned clockwise."""
    for _ in range(degrees // 90):
        x, y = 100 - y, x
    return x, y


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_an_image_that_was_labelled_turned_is_turned_back(export, degrees):
    """Independently: by turning an image with one bright pixel."""
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[32, 30] = 1
    row, column = np.argwhere(np.rot90(pixels, -degrees // 90))[0]
    height, width = np.rot90(pixels, -degrees // 90).shape
    x, y = 100 * (column + 0.5) / width, 100 * (row + 0.5) / height
    assert (x, y) == pytest.approx(turned(100 * 30.5 / WIDTH, 100 * 32.5 / HEIGHT, degrees))
    corners = np.array([turned(10.0, 20.0, degrees), turned(30.0, 60.0, degrees)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    dataset = read(
        export(
            rectangle("horse", *low, *(high - low), image_rotation=degrees),
            point("nose", x, y, image_rotation=degrees),
        ),
        NO_SCHEME,
    )
    (instance,) = only(dataset).instances
    np.testing.assert_allclose(instance.keypoints, [[30.5, 32.5, 2]])
    assert instance.box_px == pytest.approx((20, 20, 40, 40))
    assert dataset.notes == [f"labelled turned, points turned back (0123abcd-a.png: {degrees}°)"]


@pytest.mark.parametrize(
    ("turned_image", "rectangle_percent", "box"),
    [
        # 40 px wide, 20 high, turned by 90° clockwise about its upper left corner (100, 20).
        (0, (50, 20, 20, 20), (80, 20, 20, 40)),
        # Turned clockwise, the image is 100 x 200 px: 40 % are 40 px wide, 10 % are 20 px high.
        (90, (50, 20, 40, 10), (40, 50, 40, 20)),
    ],
)
def test_a_slanted_rectangle_gives_the_box_around_it(export, turned_image, rectangle_percent, box):
    turn = {"image_rotation": turned_image}
    slanted = rectangle("horse", *rectangle_percent, rotation=90, id="a", **turn)
    regions = [slanted, point("nose", 45, 30, parentID="a", **turn)]
    (instance,) = only(read(export(*regions), NO_SCHEME)).instances
    assert instance.box_px == pytest.approx(box)


def test_what_is_not_read_is_noted(export):
    dataset = read(
        export(
            *(point("p1", at, at) for at in (1, 2)),
            point("p2", 3, 3),
            {"type": "polygonlabels", "value": {}},
        ),
        NO_SCHEME,
    )
    doubled, others = dataset.notes
    assert doubled == f"{SEVERAL} (2 × p1 on 0123abcd-a.png)"
    assert others.endswith("(1 polygonlabels)")


def test_the_newest_annotation_counts(export):
    rows = [
        {"updated_at": "2025-01-02", "result": [point("p1", 50, 50)]},
        {"updated_at": "2025-01-01", "result": [point("p1", 10, 10)]},
        {"updated_at": "2025-01-03", "result": [point("p1", 90, 90)], "was_cancelled": True},
    ]
    dataset = read(export(annotations=rows), NO_SCHEME)
    assert only(dataset).instances[0].keypoints[0, 0] == 100
    assert "the newest is taken (0123abcd-a.png: 2)" in dataset.notes[0]


def test_labels_may_be_chosen(export):
    path = export(point("p1", 1, 1), point("note", 2, 2))
    dataset = read(path, KeypointScheme(("p2", "p1"), {}))
    assert dataset.keypoints == ("p2", "p1")
    assert only(dataset).instances[0].keypoints[:, 2].tolist() == [0, 2]


def test_a_size_that_nothing_tells_is_asked_for(export):
    bare = {key: value for key, value in point("p1", 1, 1).items() if "original" not in key}
    with pytest.raises(FileNotFoundError):
        read(export(bare), NO_SCHEME)


def test_the_interface_beside_the_export_names_all_labels_in_order(export, tmp_path):
    path = export(point("p1", 1, 1), point("note", 2, 2))
    interface = tmp_path / "labeling_interface.xml"
    labels = '<Label value="p2"/><Label value="p1"/>'
    interface.write_text(f"<View><KeyPointLabels>{labels}</KeyPointLabels></View>")
    assert read(path, NO_SCHEME).keypoints == ("p2", "p1", "note")
    interface.write_text("<View>")
    with pytest.raises(ValueError, match="is no labelling interface"):
        read(path, NO_SCHEME)


def test_predictions_are_no_labels(export):
    path = export(annotations=[], predictions=[{"result": [point("p1", 50, 50, score=0.75)]}])
    assert only(read(path, NO_SCHEME)).instances == ()
    (instance,) = only(read_predictions(path, NO_SCHEME)).instances
    np.testing.assert_allclose(instance.keypoints, [[100, 50, 2]])
    np.testing.assert_allclose(instance.scores, [0.75])


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        pytest.param(point("p1", 1, 1, image_rotation=45), "turned by 45°", id="slanted image"),
        pytest.param(rectangle("a", 1, None, 3, 4), "has a region with", id="broken rectangle"),
    ],
)
def test_what_cannot_be_read_is_named(export, broken, said):
    with pytest.raises(ValueError, match=f"task 5 .*{said}"):
        read(export(broken), NO_SCHEME)


def test_a_folder_with_several_exports_is_refused(export, tmp_path):
    export(point("p1", 1, 1))
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(FileNotFoundError):
        read(tmp_path, NO_SCHEME)
