from __future__ import annotations

import base64

import cv2
import numpy as np
import pandas as pd
import pytest

from equikpt.metainfo.points import METAINFO as UNNAMED
from equikpt.report.html.examples import SIDE_PX, draw_images
from tests.report.made_tests import (
    TRUTH,
    film_table,
    made_evaluation,
    other_evaluation,
    pose,
    write_pictures,
)


def decoded(picture) -> np.ndarray:
    content = base64.b64decode(picture.uri.removeprefix("data:image/jpeg;base64,"))
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def by_group(pictures) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for picture in pictures:
        groups.setdefault(picture.group, []).append(picture.name)
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
def test_worst_median_and_best_share_no_picture(tmp_path, count, worst, median, best):
    """Each animal is worse than the one before."""
    (path,) = write_pictures(tmp_path, ["0"])
    for number in range(1, count):
        (tmp_path / str(number)).symlink_to(path)
    samples = [pose(number, str(tmp_path / str(number))) for number in range(count)]
    pictures, unread = draw_images(made_evaluation(samples))
    groups = by_group(pictures)
    assert unread == 0
    found = [groups.get(group, [])[:3] for group in ("worst", "median", "best")]
    assert found == [worst, median, best]
    names = [picture.name for picture in pictures]
    assert len(set(names)) == len(names) == min(count, 21)


def test_truth_is_left_and_the_prediction_right(tmp_path):
    """Beside the picture itself, each half differs where its own points lie."""
    (tmp_path / "gray.png").write_bytes(
        cv2.imencode(".png", np.full((200, 200, 3), 128, np.uint8))[1].tobytes()
    )
    sample = pose((0, 0, 30, 0), str(tmp_path / "gray.png"))
    (picture,), _ = draw_images(made_evaluation([sample]))
    image = decoded(picture)
    assert image.shape == (SIDE_PX, 2 * SIDE_PX, 3)
    scale = SIDE_PX / (1.2 * 160)
    middle = np.array([40 + 60, 30 + 80])  # of the box

    def drawn(half: int, place) -> bool:
        x, y = np.round((np.asarray(place) - middle) * scale + SIDE_PX / 2).astype(int)
        part = image[y - 2 : y + 3, half * SIDE_PX + x - 2 : half * SIDE_PX + x + 3]
        return bool((np.abs(part.astype(int) - 128) > 60).any())

    hoof = TRUTH[2, :2]
    assert drawn(0, hoof)
    assert drawn(1, hoof + (30, 0))
    assert not drawn(0, hoof + (30, 0))
    assert drawn(1, hoof + (15, 0))  # the line of the error
    assert "error 6.2 %, 2 of 3 points right" in picture.told


def test_bytes_are_kept_and_the_worst_come_first(tmp_path):
    names = write_pictures(tmp_path, [f"{number}.png" for number in range(12)])
    samples = [pose(number, name) for number, name in enumerate(names)]
    evaluation = made_evaluation(samples)
    whole, _ = draw_images(evaluation)
    most = sum(len(picture.uri) for picture in whole) // 3
    some, _ = draw_images(evaluation, most)
    assert 0 < sum(len(picture.uri) for picture in some) <= most
    assert {group: names[0] for group, names in by_group(some).items()} == {
        group: names[0] for group, names in by_group(whole).items()
    }


def test_pictures_that_are_gone_are_counted(tmp_path):
    there = write_pictures(tmp_path, ["a.png", "b.png"])
    samples = [pose(0, there[0]), pose(1, str(tmp_path / "gone.png")), pose(2, there[1])]
    pictures, unread = draw_images(made_evaluation(samples))
    assert (len(pictures), unread) == (2, 1)


def test_pictures_elsewhere_are_not_shown(tmp_path):
    names = write_pictures(tmp_path / "images", ["a.png", "b.png"])
    (secret,) = write_pictures(tmp_path, ["secret.png"])
    samples = [pose(0, name) for name in (*names, f"{tmp_path}/images/../secret.png", secret)]
    evaluation = made_evaluation(samples, images=str(tmp_path / "images"))
    pictures, left_out = draw_images(evaluation)
    assert sorted(picture.name for picture in pictures) == ["a.png", "b.png"]
    assert left_out == 2


def test_an_animal_with_one_label_is_not_the_best(tmp_path):
    lucky, *others = write_pictures(tmp_path, ["lucky.png", "a.png", "b.png", "c.png"])
    one = [[(100.0, 50, 2), (0, 0, 0), (0, 0, 0), (0, 0, 0)]]
    samples = [pose(0, lucky, truth=one), *(pose(4, name) for name in others)]
    pictures, _ = draw_images(made_evaluation(samples))
    assert "lucky.png" not in [picture.name for picture in pictures]


def test_films_are_ranked_by_their_worse_mark(tmp_path):
    table = film_table(write_pictures(tmp_path, ["a.png", "b.png", "c.png"]))
    pictures, _ = draw_images(other_evaluation([], tables={"RulerMetric": table}))
    assert by_group(pictures) == {"worst": ["c.png"], "median": ["b.png"], "best": ["a.png"]}
    assert pictures[0].told == "p1 2.0 px, p2 2.0 px, scale off by 2.0 %"


def test_counted_things_are_ranked_by_what_was_matched(tmp_path):
    names = write_pictures(tmp_path, ["a.png", "b.png", "c.png"])
    meta = dict(dataset_name=UNNAMED["dataset_name"], num_keypoints=1)
    samples = [pose(0, name, boxes=[], areas=[]) for name in names]
    counts = dict(true=[4, 4, 4], predicted=[4, 4, 4], matched=[1, 4, 2])
    table = pd.DataFrame(dict(picture=["a.png", "b.png", "c.png"], **counts))
    evaluation = other_evaluation(samples, tables={"CountingMetric": table}, meta=meta)
    pictures, _ = draw_images(evaluation)
    assert by_group(pictures) == {"worst": ["a.png"], "median": ["c.png"], "best": ["b.png"]}
    assert pictures[0].told == "things 4, points 4, matched 1"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="one"),
        pytest.param(dict(truth=[], areas=[], boxes=[]), id="nothing labelled"),
        pytest.param(dict(predicted=[], scores=[]), id="nothing found"),
        pytest.param(
            dict(predicted=[[[50.0, 60]], [[90.0, 9]]], scores=[[0.9], [0.8]], kinds=[0, 3]),
            id="single points",
        ),
        pytest.param(
            dict(predicted=[TRUTH[:, :2].tolist()] * 2, scores=[[0.9] * 4] * 2), id="several"
        ),
    ],
)
def test_others_are_a_selection(tmp_path, changes):
    names = write_pictures(tmp_path, [f"{number}.png" for number in range(12)])
    samples = [pose(0, name, **changes) for name in names]
    pictures, _ = draw_images(other_evaluation(samples))
    assert len(pictures) == 9
    assert {picture.group for picture in pictures} == {"sample"}
    assert decoded(pictures[0]).shape == (SIDE_PX, 2 * SIDE_PX, 3)
