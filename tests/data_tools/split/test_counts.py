from __future__ import annotations

import numpy as np

from equikpt.data_tools.split.counts import count_images, instance_size_px


def test_what_is_counted_is_what_the_file_holds(content):
    counts = count_images(content["images"], content["annotations"], 4)
    for index, image in enumerate(content["images"]):
        rows = [row for row in content["annotations"] if row["image_id"] == image["id"]]
        values = np.array([row["keypoints"][2::3] for row in rows])
        assert counts.instances[index, 0] == len(rows)
        assert counts.points[index].tolist() == (values > 0).sum(axis=0).tolist()
        assert counts.hidden[index, 0] == (values == 1).sum()
        assert counts.sizes[index].sum() == counts.shares[index].sum() == len(rows)
    quarters = counts.sizes.sum(axis=0)
    assert quarters.sum() == len(content["annotations"])
    assert quarters.min() > 0.1 * quarters.sum()


def test_quarters_are_those_of_the_limits(content):
    counts = count_images(content["images"], content["annotations"], 4)
    smallest = [
        row for row in content["annotations"] if row["area"] ** 0.5 <= counts.size_limits_px[0]
    ]
    assert counts.sizes[:, 0].sum() == len(smallest)


def test_crowds_and_unlabelled_instances_count_nowhere(content):
    annotations = content["annotations"]
    annotations[0]["iscrowd"] = 1
    annotations[1]["keypoints"] = [0] * 12
    del annotations[2]["keypoints"]
    counts = count_images(content["images"], annotations, 4)
    assert counts.instances.sum() == len(annotations) - 3


def test_nothing_labelled_is_counted_as_nothing(content):
    counts = count_images(content["images"], [], 4)
    assert sum(family.sum() for family in counts.features()) == 0


def test_sizes_are_of_the_area_or_else_of_the_box():
    assert instance_size_px(dict(area=400, bbox=[0, 0, 1, 1])) == 20
    assert instance_size_px(dict(area=0, bbox=[0, 0, 8, 2])) == 4
    assert instance_size_px(dict(bbox=[0, 0, -8, 2])) == 0
    assert instance_size_px({}) == 0
