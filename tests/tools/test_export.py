import json
import sys

import pytest

from equikpt.cli.commands.export import inside_lines
from equikpt.export import page
from equikpt.export.metadata import Metadata
from equikpt.export.model import Exported
from tests.random_models import random_checkpoint

CONFIG = "smoke/td-hm_efficientnet-lite0_horse26-192x192"


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Arguments of each export, which writes an empty file."""
    seen = []
    metadata = Metadata(
        task="keypoints",
        name="mice",
        keypoints=["nose", "tail"],
        skeleton=[],
        flip_indices=[0, 1],
        colors={},
        trained=[True, False],
        input=dict(kind="crop", size=[64, 48]),
        novelty=dict(limit=1.5, source="val.json"),
        parity=dict(images=3, mean_px=0.001, max_px=0.01, against="torch", others=dict(scores=0.1)),
    )

    def export_model(config, out, checkpoint, **options):
        seen.append((config, checkpoint, options))
        out.write_bytes(bytes(1_500_000))
        return Exported(out, metadata, ["keypoints", "scores"])

    monkeypatch.setattr("equikpt.export.export_model", export_model)
    return seen


def test_it_prints_file_size_parity_and_what_is_inside(call_tool, calls, tmp_path):
    out = tmp_path / "model.onnx"
    printed = call_tool("export", "mice", "--out", out, "--no-flip-test", "--fp16")
    assert f"written: {out} (1.5 MB)" in printed
    assert "2 keypoints, 1 of them untrained, 64 x 48 px, float32" in printed
    assert "radii and calibrated scores: none" in printed
    assert "fitted to val.json" in printed
    assert "outputs: keypoints, scores" in printed
    assert "on 3 images: mean 0.0010 px, at most 0.0100 px of the input; scores 0.1" in printed
    ((config, checkpoint, options),) = calls
    assert (config, checkpoint) == ("mice", None)
    assert options["flip_test"] is False
    assert options["half"]
    assert options["parity"]


@pytest.mark.parametrize("interval", [None, [0.05, 0.95]])
def test_of_a_model_that_counts_the_intervals_are_stated(interval):
    counting = Metadata(
        task="points",
        name="cells",
        keypoints=["cell"],
        skeleton=[],
        flip_indices=[0],
        colors={},
        trained=[True],
        input=dict(kind="crop", size=[64, 48]),
        points=dict(interval=interval, level=0.9, max_points=40),
    )
    lines = inside_lines(counting)
    assert lines[0] == "points of cells: up to 40, 64 x 48 px, float32"
    stated = "none, the checkpoint has no record" if interval is None else "yes, of 90 %"
    assert lines[1] == f"intervals of counts: {stated}"


@pytest.mark.parametrize(
    ("arguments", "flip_test"), [((), None), (("--flip-test",), True)], ids=["config", "flip"]
)
def test_the_flip_test_is_the_configs_unless_said(call_tool, calls, tmp_path, arguments, flip_test):
    call_tool("export", "--config", "mice", "--out", tmp_path / "model.onnx", *arguments)
    assert calls[0][2]["flip_test"] is flip_test


def test_wrong_calls(call_tool, tmp_path, monkeypatch):
    out = ("--out", tmp_path / "model.onnx")
    assert "neither" in call_tool("export", *out, code=2)
    assert "both" in call_tool("export", "mice", "--config", "mice", *out, code=2)
    assert "model.pt" in call_tool("export", "mice", "--out", tmp_path / "model.pt", code=2)
    assert "gone" in call_tool("export", "gone", *out, code=2)
    checkpoint = random_checkpoint(CONFIG, tmp_path)
    other = ("--config", "smoke/rtmpose_m_ap10k", "--checkpoint", checkpoint)
    assert "the config that it was trained with" in call_tool("export", *other, *out, code=2)
    own = ("--config", CONFIG, "--checkpoint", checkpoint)
    assert "--no-parity" in call_tool("export", *own, *out, code=2)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "requirements/export.txt" in call_tool("export", *own, *out, code=2)
    assert not out[1].exists()


def test_a_page_beside_the_file(call_tool, calls, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "ort_files", lambda source: {"ort.mjs": source.read_bytes()})
    (tmp_path / "ort.tgz").write_bytes(b"ort")
    out, site = tmp_path / "model.onnx", tmp_path / "site"
    where = ("--web", site, "--ort-web", tmp_path / "ort.tgz")
    printed = call_tool("export", "mice", "--out", out, *where)
    assert f"written: {site} (1.6 MB)" in printed
    assert f"serve it with: python -m http.server -d {site}" in printed
    assert (site / "ort" / "ort.mjs").read_bytes() == b"ort"
    assert (site / "model.onnx").read_bytes() == out.read_bytes()
    assert json.loads((site / "model.json").read_text())["keypoints"] == ["nose", "tail"]


def test_a_page_that_cannot_be_written_stops_the_export_before_it(call_tool, calls, tmp_path):
    out, site = tmp_path / "model.onnx", tmp_path / "site"
    site.mkdir()
    (site / "mine.txt").touch()
    assert "--overwrite" in call_tool("export", "mice", "--out", out, "--web", site, code=2)
    where = ("--web", tmp_path / "new", "--ort-web", tmp_path / "none.tgz")
    assert "registry.npmjs.org" in call_tool("export", "mice", "--out", out, *where, code=2)
    assert "--web" in call_tool("export", "mice", "--out", out, *where[2:], code=2)
    assert not calls
