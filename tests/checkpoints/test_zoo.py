from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from mmengine.config import Config

from equikpt.checkpoints.zoo import CHECKPOINTS, SCHEME, find, needed, select
from equikpt.core.configs import find_config, list_configs
from equikpt.metainfo.correspondence import KEYPOINT_NAMES

REPO = Path(__file__).resolve().parents[2]
ROWS = pytest.mark.parametrize("row", CHECKPOINTS, ids=lambda row: row.name)


# --- the table ---


@ROWS
def test_the_address_is_the_published_one(row, published):
    # MMEngine's fork has its own host for the model lists, the path is the same
    addresses = re.findall(r"https://[^\s'\"()]+\.pth", published)
    assert urlsplit(row.url).path in {urlsplit(address).path for address in addresses}
    assert urlsplit(row.url).netloc == "download.openmmlab.com"


@ROWS
def test_rows(row):
    assert row.keypoints in {*KEYPOINT_NAMES, "coco", ""}
    assert re.fullmatch("[0-9a-f]{8}", row.name_digits)
    assert f"-{row.name_digits}" in row.file_name
    assert re.fullmatch("(?:[0-9a-f]{64})?", row.sha256)
    if row.sha256:  # two sources for one thing: they agree or the row says that the name is wrong
        assert row.sha256.startswith(row.name_digits) == row.named_by_sha256
    assert row.sha256_prefix or not row.named_by_sha256
    assert row.named_by_sha256 == ("/rtmposev1/" not in row.url)  # whose files were exchanged


def test_the_table_has_each_file_once_and_those_that_configs_name():
    names = {row.name for row in CHECKPOINTS}
    assert len(names) == len({row.file_name for row in CHECKPOINTS}) == len(CHECKPOINTS)
    started = {Config.fromfile(find_config(name)).get("load_from") for name in list_configs()}
    assert {SCHEME + row.name for row in needed()} == started - {None}
    assert len(needed()) >= 5
    # exchanged files are not checked against their names
    assert find("rtmpose_m_ap10k").sha256_prefix.startswith("896e3665")
    assert find("cspnext_m_coco_aic").sha256_prefix == ""


def test_a_name_without_digits_is_an_error(row):
    with pytest.raises(ValueError, match=r"net\.pth"):
        _ = replace(row, url="http://host/net.pth").name_digits


# --- choosing ---


def test_select():
    names = ["litehrnet_30_coco", "rtmpose_m_ap10k", "litehrnet_30_coco"]
    assert select(names) == (find("litehrnet_30_coco"), find("rtmpose_m_ap10k"))
    assert select(["all"]) == select(["rtmpose_m_ap10k", "all"]) == CHECKPOINTS
    for wrong, words in (([], "got none"), (["all", "al"], "got 'al'; there are rtmpose_m_ap10k")):
        with pytest.raises(ValueError, match=words):
            select(wrong)
