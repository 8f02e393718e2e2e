import pytest
import torch

from equikpt.checkpoints import remap_checkpoint, remap_file
from tests.checkpoints.remap.models import build, heatmap_head, model_config


@pytest.fixture
def files(tmp_path):
    """A checkpoint of 17 points and the config of a model of 26."""
    (tmp_path / "config.py").write_text(f"model = {model_config(heatmap_head(26))!r}\n")
    state = build(heatmap_head(17), seed=1).state_dict()
    meta = {"dataset_meta": {"dataset_name": "ap10k"}, "epoch": 210}
    torch.save({"state_dict": state, "meta": meta}, tmp_path / "ap10k.pth")
    return tmp_path


def test_it_writes_a_checkpoint_that_mmpose_loads_whole(call_tool, files):
    out = files / "out" / "horse26.pth"
    arguments = ("remap_checkpoint", files / "ap10k.pth", out, "--config", files / "config.py")
    wrong = call_tool(*arguments, "--source", "animalpose", code=2)
    assert "a checkpoint of the 20 points" in wrong
    assert not out.exists()

    *rows, summary, _ = call_tool(*arguments, "--source", "ap10k").splitlines()
    model = build(heatmap_head(26), seed=2)
    assert sorted(row.split()[1] for row in rows) == sorted(model.state_dict())
    counts = f"{len(rows) - 2} loaded, 2 remapped, 0 initialised, 0 unused"
    assert summary == f"{len(rows)} tensors: {counts}"
    expected, _ = remap_checkpoint(torch.load(files / "ap10k.pth"), model, "ap10k")
    written = torch.load(out, weights_only=True)
    model.load_state_dict(written["state_dict"])  # strict
    assert all(torch.equal(model.state_dict()[name], value) for name, value in expected.items())
    # without the versions of the classes, MMPose would take the names for those of old releases
    assert written["state_dict"]._metadata["head"]["version"] == 2
    # neither the old points nor the old epochs are the new model's
    assert not {"dataset_meta", "epoch"} & set(written["meta"])
    assert written["meta"]["keypoints"][:2] == ["nose", "l_eye"]
    assert [path.name for path in out.parent.iterdir()] == ["horse26.pth"]

    before = out.read_bytes()
    assert "overwrite" in call_tool(*arguments, "--source", "ap10k", code=2)
    assert out.read_bytes() == before


def test_missing_tensors_are_allowed_by_name(files):
    checkpoint = torch.load(files / "ap10k.pth")
    del checkpoint["state_dict"]["backbone.conv1.weight"]
    torch.save(checkpoint, files / "ap10k.pth")
    out = files / "out.pth"
    out.write_bytes(b"old")
    options = dict(config=str(files / "config.py"), source="ap10k", overwrite=True)
    with pytest.raises(ValueError, match=r"backbone\.conv1\.weight"):
        remap_file(files / "ap10k.pth", out, **options)
    assert out.read_bytes() == b"old"
    rows = remap_file(files / "ap10k.pth", out, **options, allow_missing=["backbone.conv1.*"])
    assert {row.name for row in rows if row.outcome == "initialised"} == {"backbone.conv1.weight"}
    written = torch.load(out, weights_only=True)["state_dict"]  # whole: what loads it is strict
    assert written["backbone.conv1.weight"].abs().sum() > 0
