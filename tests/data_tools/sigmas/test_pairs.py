from __future__ import annotations

import numpy as np
import pytest

from equikpt.data_tools.sigmas.pairs import pairs_of_annotations, pairs_with_predictions
from tests.data_tools.sigmas.conftest import clicked, horses, results, write


def moved(content: dict, dx: float, dy: float) -> dict:
    """Every point by the same way, boxes as they are."""
    step = np.tile([dx, dy, 0], 26)
    annotations = [
        {**row, "keypoints": (np.array(row["keypoints"]) + step).tolist()}
        for row in content["annotations"]
    ]
    return {**content, "annotations": annotations}


def test_half_of_what_lies_between_two_clicks_is_of_one(tmp_path):
    content = horses(4)
    a, b = write(tmp_path / "a.json", content), write(tmp_path / "b.json", moved(content, 3, 4))
    pairs = pairs_of_annotations(a, b)
    for row, squared in zip(content["annotations"], pairs.squared, strict=True):
        labelled = np.array(row["keypoints"][2::3]) > 0
        np.testing.assert_allclose(squared[labelled], 25 / 2 / row["area"])
        assert np.isnan(squared[~labelled]).all()


def test_all_of_it_is_the_models(tmp_path):
    content = horses(4)
    gt = write(tmp_path / "a.json", content)
    predictions = write(tmp_path / "r.json", results(moved(content, 3, 4)))
    squared = pairs_with_predictions(gt, predictions).squared
    np.testing.assert_allclose(squared[:, 0] * [a["area"] for a in content["annotations"]], 25)
    labelled = np.array([a["keypoints"][2::3] for a in content["annotations"]]) > 0
    np.testing.assert_array_equal(np.isfinite(squared), labelled)


def scrambled(content: dict) -> dict:
    """The same file with other ids and in another order."""
    images = [{**image, "id": image["id"] + 500} for image in content["images"][::-1]]
    annotations = [
        {**row, "id": 900 - row["id"], "image_id": row["image_id"] + 500}
        for row in content["annotations"][::-1]
    ]
    return {**content, "images": images, "annotations": annotations}


def test_instances_are_found_by_name_and_box_whatever_their_ids(tmp_path):
    content = horses(6, each=3)
    again = clicked(content, seed=1)
    a, b = write(tmp_path / "a.json", content), write(tmp_path / "b.json", again)
    c = write(tmp_path / "c.json", scrambled(again))
    by_id, by_box = pairs_of_annotations(a, b, by_id=True), pairs_of_annotations(a, c)
    np.testing.assert_allclose(by_box.squared, by_id.squared)
    assert [image["id"] for image in by_box.images] == [i for i in range(1, 7) for _ in range(3)]


def test_predictions_go_to_the_nearest_instance(tmp_path):
    content = horses(6, each=3)
    rows = results(clicked(content, seed=1))
    gt = write(tmp_path / "a.json", content)
    in_order = pairs_with_predictions(gt, write(tmp_path / "r.json", rows))
    turned = pairs_with_predictions(gt, write(tmp_path / "t.json", rows[::-1]))
    np.testing.assert_allclose(turned.squared, in_order.squared)
    assert np.nanmax(in_order.squared) < 1


def test_what_has_no_partner_is_left_out_and_told(tmp_path):
    content, again = horses(4), horses(4)
    again["annotations"][1]["bbox"] = [700, 300, 50, 50]  # another horse
    again["annotations"][2]["iscrowd"] = 1
    del content["annotations"][0]["area"]
    pairs = pairs_of_annotations(
        write(tmp_path / "a.json", content), write(tmp_path / "b.json", again)
    )
    assert [image["id"] for image in pairs.images] == [1, 4]
    assert pairs.notes == (
        "images in both files: 4",
        "instances in both: 2",
        "annotations without a partner, left out: 2 (2, 3)",
        "areas taken as 0.53 of the box: 1",
    )


def test_instances_without_box_can_only_be_paired_by_id(tmp_path):
    content = horses(3)
    for row in content["annotations"]:
        del row["bbox"]
    a, b = write(tmp_path / "a.json", content), write(tmp_path / "b.json", moved(content, 3, 4))
    with pytest.raises(ValueError, match="annotation 1 has no box"):
        pairs_of_annotations(a, b)
    assert len(pairs_of_annotations(a, b, by_id=True).images) == 3


def other_names(content: dict) -> dict:
    return {**content, "images": [{**i, "file_name": f"x{i['id']}"} for i in content["images"]]}


def seventeen(content: dict) -> dict:
    rows = [{**row, "keypoints": row["keypoints"][:51]} for row in content["annotations"]]
    return {**content, "annotations": rows}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_names, "have 0 images and no instance in common"),
        (seventeen, "got 17 and 26 a row"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(tmp_path, change, words):
    a, b = write(tmp_path / "a.json", horses(3)), write(tmp_path / "b.json", change(horses(3)))
    with pytest.raises(ValueError, match=words):
        pairs_of_annotations(a, b)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "has none; are they of another split"),
        (results(horses(2))[1:] + [dict(image_id=1)], "expected COCO results"),
        (
            results(horses(2))[1:] + [dict(image_id=1, keypoints=["a"] * 78)],
            r"\[1\].keypoints\[0\]: expected a number, found 'a'",
        ),
        (dict(images=[]), "expected COCO results"),
        (results(seventeen(horses(3))), "got 17 and 26 a row"),
    ],
    ids=["none", "no keypoints", "no numbers", "no list", "others"],
)
def test_what_are_no_predictions_of_these_images_is_refused(tmp_path, rows, words):
    gt = write(tmp_path / "a.json", horses(3))
    with pytest.raises(ValueError, match=words):
        pairs_with_predictions(gt, write(tmp_path / "r.json", rows))
