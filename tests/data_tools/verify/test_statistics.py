from __future__ import annotations

import json

import numpy as np

from equikpt.data_tools.verify.statistics import statistics
from tests.data_tools.verify.conftest import people, person


def test_figures_are_those_of_a_set_that_can_be_counted_by_hand(read):
    content = people(4)
    points = content["annotations"][0]["keypoints"]
    points[0:6] = [0, 0, 0, 0, 0, 0]  # two points less
    points[8] = 1  # and one hidden
    second = person(5, 2, np.random.default_rng(3))
    second["bbox"] = content["annotations"][1]["bbox"]
    content["annotations"].append(second)
    beside = person(6, 3, np.random.default_rng(4))
    beside["bbox"] = [0, 0, 20, 20]
    content["annotations"].append(beside)
    content["images"].append(dict(id=9, file_name="9.png", width=300, height=260))
    (figures,) = statistics(read(content)).values()
    assert figures["pictures"] == 5
    assert figures["annotations"] == figures["used annotations"] == 6
    assert figures["pictures without a used annotation"] == 1
    assert figures["annotations a picture"]["p100"] == 2
    assert figures["points an annotation"] == dict(p0=15, p5=15.5, p50=17, p95=17, p100=17)
    assert figures["crowded"] == 0.333  # two of six share a box
    assert figures["labelled"]["nose"] == 0.833
    assert figures["hidden of labelled"]["right_eye"] == 0.167
    assert json.loads(json.dumps(figures)) == figures


def test_each_file_has_its_own(read):
    labels = read(people(3), people(7, seed=1))
    assert [figures["pictures"] for figures in statistics(labels).values()] == [3, 7]
