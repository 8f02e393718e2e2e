"""Poses of moving horses on disk, as a first pass over a video leaves them."""

import numpy as np
import pytest

from equikpt.tracks.spool import Spool
from equikpt_runtime.instance import Instance
from tests.gait.conftest import moving


@pytest.fixture
def spooled(tmp_path):
    """Function of tables of keypoints, an animal each, to their spool; scores are (T, K)."""

    def spool(*tables, scores=None):
        made = Spool(tmp_path, len(tables[0].names))
        for frame, time_s in enumerate(tables[0].times_s):
            found = []
            for number, table in enumerate(tables, start=1):
                xy = table.xy[frame]
                if not np.isfinite(xy).any():
                    continue
                box = np.array([*np.nanmin(xy, axis=0), *np.nanmax(xy, axis=0)])
                score = np.ones(len(xy)) if scores is None else scores[frame]
                radius = None if table.radii is None else table.radii[frame]
                found.append(Instance(xy, score, box, track=number, radius=radius))
            made.add(float(time_s), found)
        return made

    return spool


@pytest.fixture(scope="session")
def walk():
    return moving(gait="walk", strides=4, facing="right", camera="still")
