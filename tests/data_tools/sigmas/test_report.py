from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from equikpt.core import files
from equikpt.data_tools.sigmas.estimate import SigmaEstimate
from equikpt.data_tools.sigmas.report import chosen_sigmas, metainfo_file, sigma_table
from equikpt.metainfo.p1p2 import METAINFO

NAN = np.full(4, np.nan)
ESTIMATE = SigmaEstimate(
    np.array([0.01234567, 0.02, 0, np.nan]), NAN, NAN, np.array([20, 19, 20, 0])
)


def test_an_estimate_from_next_to_nothing_replaces_nothing():
    assert chosen_sigmas([0.1, 0.2, 0.3, 0.4], ESTIMATE) == [0.01235, 0.2, 0.3, 0.4]


@pytest.mark.parametrize("present", [[0.1, 0.2, 0.3, 0.4], None], ids=["metainfo", "none"])
def test_the_table_has_the_present_sigmas_where_there_are_some(present):
    head, first, *_ = sigma_table(["a", "b", "c", "d"], present, ESTIMATE).splitlines()
    with_ratio = ["keypoint", "distances", "present", "sigma", "low", "high", "ratio"]
    assert head.split() == (with_ratio if present else ["keypoint", "distances", *with_ratio[3:6]])
    assert first.split()[:2] == ["a", "20"]
    assert ("0.12346" in first) == bool(present)  # the ratio


def test_the_file_is_the_metainfo_with_other_sigmas():
    sigma = np.array([0.002, 0.5])
    estimate = SigmaEstimate(sigma, sigma - 0.001, sigma + 0.001, np.array([30, 5]))
    text = metainfo_file(METAINFO, estimate, "From a test.", Path("deep/sigmas.py"))
    scope: dict = {}
    exec(text, scope)
    assert scope["dataset_info"] == {**METAINFO, "sigmas": [0.002, METAINFO["sigmas"][1]]}
    assert "0.002,  # 'p1': 0.001 to 0.003, 30 distances" in text
    assert "# 'p2': as before: 5 distances" in text
    assert "from_file='deep/sigmas.py'" in text


@pytest.mark.parametrize(
    "cut", ["\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "'\n", '"\n', "\\\n"]
)
def test_a_file_name_never_becomes_code(tmp_path, cut):
    """Names come from archives and shares; the file is one that configs run."""
    name = f"labels{cut}raise SystemExit#{{{{ fileBasename }}}}\udce9.json"
    path = tmp_path / f"out{cut}raise SystemExit" / "a.py"
    sigma = np.array([0.002, 0.5])
    estimate = SigmaEstimate(sigma, sigma, sigma, np.array([30, 5]))
    text = metainfo_file(METAINFO, estimate, f"From {name}", path)
    files.write_text(tmp_path / "sigmas.py", text)
    read = Config.fromfile(str(tmp_path / "sigmas.py"))
    assert read.sigmas == [0.002, METAINFO["sigmas"][1]]
    assert all(line.startswith("#") for line in text.splitlines() if "SystemExit" in line)
