import json
from pathlib import Path

import numpy as np
import pytest

from equikpt.data_tools.sigma_pairs import pairs_of_annotations, pairs_with_predictions
from equikpt.metainfo.horse26 import KEYPOINTS

NAMES = [point.name for point in KEYPOINTS]
SIGMAS = np.linspace(0.02, 0.1, len(NAMES))


def horses(count: int = 60, each: int = 1) -> dict:
    """A true annotation file; some points are not labelled."""
    rng = np.random.default_rng(7)
    images, annotations = [], []
    for number in range(1, count + 1):
        images.append(
            dict(id=number, file_name=f"{number % 12}/{number}.png", width=900, height=400)
        )
        for column in range(each):
            width, height = rng.uniform(150, 250, 2)
            left = 10 + 300 * column
            points = rng.uniform((left, 10), (left + width, 10 + height), (len(NAMES), 2))
            seen = np.where(rng.random(len(NAMES)) < 0.2, 0, 2)
            seen[0] = 2
            annotations.append(
                dict(id=len(annotations) + 1, image_id=number, category_id=1, iscrowd=0,
                     bbox=[left, 10, width, height], area=width * height / 2,
                     keypoints=np.column_stack([points, seen]).ravel().tolist())
            )  # fmt: skip
    return dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name="horse", keypoints=NAMES)],
    )


def with_points(content: dict, change) -> dict:
    """The file with ``change(points, annotation)`` instead of the (26, 3) points of each."""
    annotations = []
    for row in content["annotations"]:
        points = np.array(row["keypoints"], float).reshape(-1, 3)
        annotations.append({**row, "keypoints": change(points, row).ravel().tolist()})
    return {**content, "annotations": annotations}


def clicked(content: dict, seed: int, gross: float = 0.0) -> dict:
    """The file as an annotator with errors of ``SIGMAS`` labels it, some points far off."""
    rng = np.random.default_rng(seed)

    def click(points: np.ndarray, row: dict) -> np.ndarray:
        size = np.sqrt(row["area"])
        # in x and in y, so that the mean of d² is sigma² s²
        points[:, :2] += rng.normal(0, SIGMAS[:, None] / np.sqrt(2), (len(points), 2)) * size
        far = rng.random(len(points)) < gross
        points[far, :2] += rng.normal(0, size, (far.sum(), 2))
        return points

    return with_points(content, click)


def results(content: dict) -> list[dict]:
    """An annotation file as a model's results."""
    scored = with_points(content, lambda points, row: points * (1, 1, 0) + (0, 0, 0.5))
    return [
        dict(image_id=row["image_id"], category_id=1, score=0.7, keypoints=row["keypoints"])
        for row in scored["annotations"]
    ]


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def saved(tmp_path):
    """Call ``saved(content, ...)`` for files with the contents."""

    def call(*contents: object) -> list[Path]:
        return [write(tmp_path / f"{n}.json", content) for n, content in enumerate(contents)]

    return call


def moved(content: dict) -> dict:
    """Every point 5 px away, boxes as they are."""
    return with_points(content, lambda points, row: points + (3, 4, 0))


@pytest.mark.parametrize("fraction", [1 / 2, 1], ids=["of two clicks half", "of a model all"])
def test_the_distance_is_shared_between_clicks_and_all_the_models(saved, fraction):
    content = horses(4)
    if fraction == 1:
        pairs = pairs_with_predictions(*saved(content, results(moved(content))))
    else:
        pairs = pairs_of_annotations(*saved(content, moved(content)))
    for row, squared in zip(content["annotations"], pairs.squared, strict=True):
        labelled = np.array(row["keypoints"][2::3]) > 0
        np.testing.assert_allclose(squared[labelled], 25 * fraction / row["area"])
        assert np.isnan(squared[~labelled]).all()


def test_files_with_keypoints_in_two_orders_are_refused(saved):
    content = horses(4)
    other = [dict(content["categories"][0], keypoints=NAMES[::-1])]
    with pytest.raises(ValueError, match="another order.*'rh_hoof'.*'nose'"):
        pairs_of_annotations(*saved(content, content | dict(categories=other)))


def scrambled(content: dict) -> dict:
    """The same file with other ids and in another order."""
    images = [{**image, "id": image["id"] + 500} for image in content["images"][::-1]]
    annotations = [
        {**row, "id": 900 - row["id"], "image_id": row["image_id"] + 500}
        for row in content["annotations"][::-1]
    ]
    return {**content, "images": images, "annotations": annotations}


def test_instances_are_found_whatever_their_ids_and_order(saved):
    content = horses(6, each=3)
    again = clicked(content, seed=1)
    a, b, c = saved(content, again, scrambled(again))
    by_id, by_box = pairs_of_annotations(a, b, by_id=True), pairs_of_annotations(a, c)
    np.testing.assert_allclose(by_box.squared, by_id.squared)
    assert [image["id"] for image in by_box.images] == [i for i in range(1, 7) for _ in range(3)]
    content = horses(6, each=3)
    rows = results(clicked(content, seed=1))
    gt, predictions, in_other_order = saved(content, rows, rows[::-1])
    found = pairs_with_predictions(gt, predictions).squared
    np.testing.assert_allclose(pairs_with_predictions(gt, in_other_order).squared, found)
    assert np.nanmax(found) < 1


def test_an_instance_without_partner_is_left_out_and_noted(saved):
    content, again = horses(4), horses(4)
    again["annotations"][1]["bbox"] = [700, 300, 50, 50]  # another horse
    again["annotations"][2]["iscrowd"] = 1
    del content["annotations"][0]["area"]
    pairs = pairs_of_annotations(*saved(content, again))
    assert [image["id"] for image in pairs.images] == [1, 4]
    assert pairs.notes == (
        "images in both files: 4",
        "instances in both: 2",
        "annotations without a partner, left out: 2 (2, 3)",
        "areas taken as 0.53 of the box: 1",
    )


def test_instances_without_box_can_only_be_paired_by_id(saved):
    content = horses(3)
    for row in content["annotations"]:
        del row["bbox"]
    files = saved(content, moved(content))
    with pytest.raises(ValueError, match="annotation 1 has no box"):
        pairs_of_annotations(*files)
    assert len(pairs_of_annotations(*files, by_id=True).images) == 3


def test_numbers_of_any_length_are_coordinates(saved):
    rows = [dict(image_id=1, keypoints=[10**30, 0.5, 1] * 26)]
    assert np.nanmin(pairs_with_predictions(*saved(horses(1), rows)).squared) > 1e50


def other_names(content: dict) -> dict:
    return {**content, "images": [{**i, "file_name": f"x{i['id']}"} for i in content["images"]]}


def seventeen(content: dict) -> dict:
    return with_points(content, lambda points, row: points[:17])


REFUSED = {
    "no common image": (pairs_of_annotations, other_names(horses(3)), "no instance in common"),
    "17 keypoints": (pairs_of_annotations, seventeen(horses(3)), "17 and 26"),
    "no predictions": (pairs_with_predictions, [], "has none"),
    "no keypoints": (pairs_with_predictions, [dict(image_id=1)], "an object with 'keypoints'"),
    "no numbers": (
        pairs_with_predictions,
        [*results(horses(1)), dict(image_id=1, keypoints=["a"] * 78)],
        r"\[1\].keypoints\[0\]: expected a number",
    ),
    "no triples": (pairs_with_predictions, [dict(image_id=1, keypoints=[1.0] * 77)], "x, y and"),
    "not finite": (pairs_with_predictions, [dict(image_id=1, keypoints=[np.nan] * 3)], "x, y and"),
    "no list": (pairs_with_predictions, dict(images=[]), "expected a list"),
    "17 predicted": (pairs_with_predictions, results(seventeen(horses(3))), "17 and 26"),
}


@pytest.mark.parametrize(("pair", "content", "words"), REFUSED.values(), ids=REFUSED)
def test_files_that_do_not_belong_together_are_refused(saved, pair, content, words):
    with pytest.raises(ValueError, match=words):
        pair(*saved(horses(3), content))
