from __future__ import annotations

import numpy as np

from equikpt.core.groups import GroupRule
from equikpt.data_tools.split.counts import count_images
from equikpt.data_tools.split.report import part_table
from equikpt.data_tools.split.units import make_units
from tests.data_tools.split.conftest import NAMES


def test_every_part_is_counted(content):
    for row in content["annotations"]:
        row["keypoints"][9:] = [0, 0, 0]  # the tail
    images = content["images"]
    units = make_units(images, GroupRule(key="video"))
    parts = np.where(units.of_image < 3, 1, 0)  # videos 0, 1 and 2 are val
    counts = count_images(images, content["annotations"], 4)
    head, *rows, last = part_table(counts, units, parts, ("train", "val"), NAMES).splitlines()
    assert head.split() == ["train", "val", "all"]
    assert last == "labelled nowhere: tail"
    cells = {row[:24].strip(): row[24:].split() for row in rows}
    assert cells["images"] == ["13", "43.3", "%", "17", "56.7", "%", "30"]
    assert cells["groups"] == ["7", "70.0", "%", "3", "30.0", "%", "10"]
    assert "tail" not in cells
    in_val = {image["id"] for image in images if image["video"] in ("v0", "v1", "v2")}
    knees = [row["keypoints"][5] for row in content["annotations"] if row["image_id"] in in_val]
    assert cells["l_knee"][3] == str(np.count_nonzero(knees))
    total = sum(int(values[-1]) for name, values in cells.items() if name.endswith("px"))
    assert total == len(content["annotations"])
