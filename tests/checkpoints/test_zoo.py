from __future__ import annotations

import argparse
import hashlib
import re
import shlex
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from mmengine.config import Config, DictAction

from equikpt.checkpoints.zoo import (
    CHECKPOINTS,
    FOLDER,
    Checkpoint,
    fetch,
    find,
    format_list,
    select,
    state,
    sum_file,
    usage,
)
from equikpt.metainfo.correspondence import KEYPOINT_NAMES
from tests.scripted_server import serving

REPO = Path(__file__).resolve().parents[2]
ROWS = pytest.mark.parametrize("row", CHECKPOINTS, ids=lambda row: row.name)
BACKBONES = [row for row in CHECKPOINTS if not row.keypoints]


@pytest.fixture(scope="module")
def published() -> str:
    """What MMPose's model index and configs and MMEngine's model lists say."""
    patterns = {"mmengine": ["hub/*.json"], "mmpose": [".mim/**/*.py", ".mim/**/*.yml"]}
    folders = {name: Path(find_spec(name).origin).parent for name in patterns}
    files = [f for name, each in patterns.items() for p in each for f in folders[name].rglob(p)]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    # configs write an address as two strings, one below the other
    return re.sub(r"""['"][^\S\n]*\n\s*['"]""", "", text)


@pytest.fixture
def row() -> Checkpoint:
    content = b"weights"
    digest = hashlib.sha256(content).hexdigest()
    url = f"http://127.0.0.1/net-{digest[:8]}_20260101.pth"
    return Checkpoint("net", url, "ap10k", "a network", "no data")


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
    texts = [path.read_text(encoding="utf-8") for path in (REPO / "configs").rglob("*.py")]
    named = set(re.findall(r"download_checkpoints\.py (\w+)", "\n".join(texts)))
    assert len(named) >= 3
    assert named <= names
    # exchanged files are not checked against their names
    assert find("rtmpose_m_ap10k").sha256_prefix.startswith("896e3665")
    assert find("cspnext_m_coco_aic").sha256_prefix == ""


def test_the_default_folder_is_ignored_by_git():
    assert f"{FOLDER.parts[0]}/" in (REPO / ".gitignore").read_text().splitlines()


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


# --- what a folder has ---


def test_states(row, tmp_path):
    path = tmp_path / row.file_name
    assert state(row, tmp_path) == "-"
    path.with_name(f"{path.name}.unaccepted").write_bytes(bytes(1_234_000))
    assert state(row, tmp_path) == "not accepted, 1.2 MB"
    path.write_bytes(b"weights")
    assert state(row, tmp_path) == "there, SHA-256 not accepted"
    assert state(replace(row, named_by_sha256=False), tmp_path) == "there, SHA-256 not accepted"
    digest = hashlib.sha256(b"weights").hexdigest()
    assert state(replace(row, sha256=digest), tmp_path) == "there, valid"
    sum_file(path).write_text(f"{digest}  {path.name}\n")
    assert state(row, tmp_path) == "there, valid"
    path.write_bytes(b"Weights")
    assert state(row, tmp_path) == "there, wrong SHA-256"
    sum_file(path).write_text("")
    with pytest.raises(ValueError, match="delete it to accept anew"):
        state(row, tmp_path)


def test_list(row, tmp_path):
    (tmp_path / row.file_name).write_bytes(b"weights")
    text = format_list(tmp_path, 300, [row, CHECKPOINTS[1]])
    lines = [line for line in text.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    terms = f"{row.licence}; no data"
    assert cells[0] == ["net", "a network", "ap10k", terms, "there, SHA-256 not accepted", "0.0 MB"]
    assert cells[1][0] == "hrnet_w32_ap10k"
    assert cells[1][4:] == ["-", "-"]
    assert str(tmp_path) in text


def test_list_keeps_to_the_width(tmp_path):
    assert max(len(line) for line in format_list(Path("data"), 100).splitlines()) <= 100


@pytest.fixture
def published_row(row, monkeypatch):
    """The row with its file, ``weights``, on a server; and the server."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(b"weights") as server:
        yield replace(row, url=row.url.replace("http://127.0.0.1", server.origin)), server


def test_fetch(published_row, tmp_path):
    row, _ = published_row
    path, digest = tmp_path / row.file_name, hashlib.sha256(b"weights").hexdigest()
    with pytest.raises(ValueError, match=f"accept_sha256 {digest}"):
        fetch(row, tmp_path)
    assert not path.exists()
    asked = []
    assert fetch(row, tmp_path, ask=lambda *seen: asked.append(seen) or True) == (path, True)
    assert fetch(row, tmp_path) == (path, False)
    assert asked == [(row.file_name, digest)]
    assert state(row, tmp_path) == "there, valid"
    path.write_bytes(b"Weights")
    with pytest.raises(FileExistsError, match=digest):
        fetch(row, tmp_path)


def test_fetch_of_another_file(published_row, tmp_path):
    row, server = published_row
    server.content = b"Weights"
    with pytest.raises(ValueError, match=f"SHA-256 begins with {row.name_digits}"):
        fetch(row, tmp_path)
    assert fetch(row, tmp_path, check=False)[1]
    assert state(row, tmp_path) == "there, wrong SHA-256"


def test_a_file_from_elsewhere_is_accepted_once(row, tmp_path):
    path = tmp_path / row.file_name
    path.write_bytes(b"weights")
    with pytest.raises(ValueError, match="expected somebody to accept"):
        fetch(row, tmp_path, ask=lambda *_: False)
    assert fetch(row, tmp_path, ask=lambda *_: True) == (path, False)
    assert fetch(row, tmp_path) == (path, False)
    assert path.read_bytes() == b"weights"


# --- using it ---


def options(line: str) -> dict:
    """What tools/train.py makes of the printed options."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    return parser.parse_args(shlex.split(line)).cfg_options


@pytest.mark.parametrize(
    "name", ["weights/a.pth", "a(1).pth", "it's.pth", "my weights/a.pth", "a,b.pth"]
)
@ROWS
def test_a_training_starts_from_the_file(row, name):
    """``load_from`` of a whole model, ``init_cfg`` of a backbone."""
    line, config = usage(row, Path(name)), Config(dict(model=dict(backbone=dict(type="HRNet"))))
    if set(name) & set(" ,"):  # MMEngine's own reading of options changes or splits the path
        assert options(f"--cfg-options {shlex.quote(f'load_from={name}')}") != {"load_from": name}
        config = Config.fromstring(line.removeprefix("in the config: "), ".py")
    else:
        config.merge_from_dict(options(line))
    prefix = {"prefix": row.prefix} if row.prefix else {}
    init_cfg = {"type": "Pretrained", "checkpoint": name, **prefix}
    assert config.get("load_from") == (name if row.keypoints else None)
    assert row.keypoints or config.model.backbone.init_cfg == init_cfg


@pytest.mark.parametrize("row", BACKBONES, ids=lambda row: row.name)
def test_prefixes_are_those_of_mmposes_own_configs(row, published):
    """Where a config of MMPose starts from the file, does it name a prefix?"""
    short = {"hrnet_w18_imagenet": "open-mmlab://msra/hrnetv2_w18"}.get(row.name, row.file_name)
    before = re.findall(rf"init_cfg=dict\(([^()]*?{re.escape(short)})", published)
    assert before
    prefixes = {match[1] for text in before if (match := re.search("prefix='(.*?)'", text))}
    assert prefixes == ({row.prefix} if row.prefix else set())


@pytest.mark.parametrize("prefix", ["", "backbone."], ids=["bare", "with prefix"])
def test_the_weights_arrive_in_the_backbone(prefix, row, tmp_path):
    """A file as published, through the printed options, into a backbone of MMPose."""
    import torch
    from mmpose.registry import MODELS

    import equikpt.register  # noqa: F401  # readies the stack

    small = dict(type="CSPNeXt", arch="P5", deepen_factor=0.1, widen_factor=0.1, out_indices=(4,))
    source = MODELS.build({**small, "_scope_": "mmpose"})
    weights = {f"{prefix}{name}": value + 1 for name, value in source.state_dict().items()}
    torch.save({"state_dict": weights}, tmp_path / "a.pth")

    config = Config(dict(model=dict(backbone={**small, "_scope_": "mmpose"})))
    line = usage(replace(row, keypoints="", prefix=prefix), tmp_path / "a.pth")
    config.merge_from_dict(options(line))
    backbone = MODELS.build(config.model.backbone)
    backbone.init_weights()
    for name, value in backbone.state_dict().items():
        torch.testing.assert_close(value, source.state_dict()[name] + 1, rtol=0, atol=0)
