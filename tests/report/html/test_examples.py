import base64

import cv2
import msgspec
import numpy as np
import pandas as pd
import pytest

from equikpt.report.html.examples import draw_images
from equikpt.visualization.ground_truth_pair import CELL_PX
from tests.report.made_tests import (
    GT,
    made_evaluation,
    other_evaluation,
    pose,
    radiograph_table,
    write_images,
)


def decoded(image) -> np.ndarray:
    content = base64.b64decode(image.uri.removeprefix("data:image/jpeg;base64,"))
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def by_group(images) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for image in images:
        groups.setdefault(image.group, []).append(image.name)
    return groups


@pytest.mark.parametrize(
    ("count", "worst", "median", "best"),
    [
        (1, ["0"], [], []),
        (2, ["1"], [], ["0"]),
        (3, ["2"], ["1"], ["0"]),
        (9, ["8", "7", "6"], ["3", "4", "5"], ["0", "1", "2"]),
        (60, ["59", "58", "57"], ["27", "28", "29"], ["0", "1", "2"]),
    ],
)
def test_worst_median_and_best_share_no_image(tmp_path, count, worst, median, best):
    """Each animal is worse than the one before."""
    (path,) = write_images(tmp_path, ["0"])
    for number in range(1, count):
        (tmp_path / str(number)).symlink_to(path)
    samples = [pose(number, str(tmp_path / str(number))) for number in range(count)]
    images, unread = draw_images(made_evaluation(samples))
    groups = by_group(images)
    assert unread == 0
    found = [groups.get(group, [])[:3] for group in ("worst", "median", "best")]
    assert found == [worst, median, best]
    names = [image.name for image in images]
    assert len(set(names)) == len(names) == min(count, 21)


def test_gt_is_left_and_the_prediction_right(tmp_path):
    """Beside the image itself, each half differs where its own points lie."""
    (tmp_path / "gray.png").write_bytes(
        cv2.imencode(".png", np.full((200, 200, 3), 128, np.uint8))[1].tobytes()
    )
    sample = pose((0, 0, 30, 0), str(tmp_path / "gray.png"))
    (image,), _ = draw_images(made_evaluation([sample]))
    shown = decoded(image)
    assert shown.shape == (CELL_PX, 2 * CELL_PX, 3)
    scale = CELL_PX / (1.2 * 160)
    middle = np.array([40 + 60, 30 + 80])  # of the box

    def drawn(half: int, place) -> bool:
        x, y = np.round((np.asarray(place) - middle) * scale + CELL_PX / 2).astype(int)
        part = shown[y - 2 : y + 3, half * CELL_PX + x - 2 : half * CELL_PX + x + 3]
        return bool((np.abs(part.astype(int) - 128) > 60).any())

    hoof = GT[2, :2]
    assert drawn(0, hoof)
    assert drawn(1, hoof + (30, 0))
    assert not drawn(0, hoof + (30, 0))
    assert drawn(1, hoof + (15, 0))  # the line of the error
    assert "error 6.2 %, 2 of 3 points right" in image.caption


def test_what_is_not_trained_is_not_drawn(tmp_path):
    """Neither the point, which stands for nothing, nor a line to it."""
    (path,) = write_images(tmp_path, ["a.png"])
    wrong, right = pose((0, 0, 40, 0), path), pose(0, path)
    shown = []
    for sample in (wrong, right):
        made = made_evaluation([sample])
        meta = made.meta | dict(trained_keypoints=[True, True, False, True])
        (image,), _ = draw_images(msgspec.structs.replace(made, meta=meta))
        shown.append(decoded(image))
    np.testing.assert_array_equal(*shown)
    with_all = [decoded(draw_images(made_evaluation([each]))[0][0]) for each in (wrong, right)]
    assert (with_all[0] != with_all[1]).any()


def test_bytes_are_kept_and_the_worst_come_first(tmp_path):
    names = write_images(tmp_path, [f"{number}.png" for number in range(12)])
    samples = [pose(number, name) for number, name in enumerate(names)]
    evaluation = made_evaluation(samples)
    whole, _ = draw_images(evaluation)
    most = sum(len(image.uri) for image in whole) // 3
    some, _ = draw_images(evaluation, most)
    assert 0 < sum(len(image.uri) for image in some) <= most
    assert {group: names[0] for group, names in by_group(some).items()} == {
        group: names[0] for group, names in by_group(whole).items()
    }


def test_images_that_are_gone_or_elsewhere_are_counted_and_not_shown(tmp_path):
    names = write_images(tmp_path / "images", ["a.png", "b.png"])
    (secret,) = write_images(tmp_path, ["secret.png"])
    others = [f"{tmp_path}/images/../secret.png", secret, f"{tmp_path}/images/gone.png"]
    samples = [pose(0, name) for name in (*names, *others)]
    evaluation = made_evaluation(samples, images=str(tmp_path / "images"))
    images, left_out = draw_images(evaluation)
    assert sorted(image.name for image in images) == ["a.png", "b.png"]
    assert left_out == 3


def test_an_animal_with_one_label_is_not_the_best(tmp_path):
    lucky, *others = write_images(tmp_path, ["lucky.png", "a.png", "b.png", "c.png"])
    one = [[(100.0, 50, 2), (0, 0, 0), (0, 0, 0), (0, 0, 0)]]
    samples = [pose(0, lucky, gt=one), *(pose(4, name) for name in others)]
    images, _ = draw_images(made_evaluation(samples))
    assert "lucky.png" not in [image.name for image in images]


THINGS = dict(unnamed=True, num_keypoints=1)


@pytest.mark.parametrize(
    ("metric", "order", "caption"),
    [
        ("RulerMetric", "cba", "p1 2.0 px, p2 2.0 px, scale off by 2.0 %"),  # by the worse mark
        ("CountingMetric", "acb", "things 4, points 4, matched 1"),  # by the fraction matched
    ],
)
def test_a_metric_ranks_its_images(tmp_path, metric, order, caption):
    names = write_images(tmp_path, ["a.png", "b.png", "c.png"])
    counts = dict(true=[4, 4, 4], predicted=[4, 4, 4], matched=[1, 4, 2])
    tables = {
        "RulerMetric": radiograph_table(names),
        "CountingMetric": pd.DataFrame(dict(image=["a.png", "b.png", "c.png"], **counts)),
    }
    samples = [pose(0, name, boxes=[], areas=[]) for name in names]
    chosen = dict(tables={metric: tables[metric]}, meta=THINGS)
    images, _ = draw_images(other_evaluation(samples, **chosen))
    assert [(image.group, image.name) for image in images] == [
        (group, f"{name}.png")
        for group, name in zip(("worst", "median", "best"), order, strict=True)
    ]
    assert images[0].caption == caption


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="one"),
        pytest.param(dict(gt=[], areas=[], boxes=[]), id="nothing labelled"),
        pytest.param(dict(predicted=[], scores=[]), id="nothing found"),
        pytest.param(
            dict(predicted=[[[50.0, 60]], [[90.0, 9]]], scores=[[0.9], [0.8]], kinds=[0, 3]),
            id="single points",
        ),
        pytest.param(
            dict(predicted=[GT[:, :2].tolist()] * 2, scores=[[0.9] * 4] * 2), id="several"
        ),
    ],
)
def test_others_are_a_selection(tmp_path, changes):
    names = write_images(tmp_path, [f"{number}.png" for number in range(12)])
    samples = [pose(0, name, **changes) for name in names]
    images, _ = draw_images(other_evaluation(samples))
    assert len(images) == 9
    assert {image.group for image in images} == {"sample"}
    assert decoded(images[0]).shape == (CELL_PX, 2 * CELL_PX, 3)
