from __future__ import annotations

import pytest
import torch

from tests.checkpoints.remap.models import build, heatmap_head, model_config


@pytest.fixture
def files(tmp_path):
    """A checkpoint of 17 points and the config of a model of 26."""
    (tmp_path / "config.py").write_text(f"model = {model_config(heatmap_head(26))!r}\n")
    dataset = {"dataset_name": "ap10k"}
    state = build(heatmap_head(17), seed=1).state_dict()
    torch.save(
        {"state_dict": state, "meta": {"dataset_meta": dataset, "epoch": 210}},
        tmp_path / "ap10k.pth",
    )
    return tmp_path


def arguments(folder, *more, source="ap10k"):
    return [
        *("remap_checkpoint.py", folder / "ap10k.pth", folder / "out" / "horse26.pth"),
        *("--config", folder / "config.py", "--source", source, *more),
    ]


@pytest.mark.slow
def test_it_writes_a_checkpoint_that_mmpose_loads_whole(run_tool, files):
    done = run_tool(*arguments(files))
    assert done.returncode == 0, done.stderr
    model = build(heatmap_head(26), seed=2)
    lines = done.stdout.splitlines()
    names = [line.split()[1] for line in lines[:-2]]
    assert sorted(names) == sorted(model.state_dict())
    assert (
        lines[-2]
        == f"{len(names)} tensors: {len(names) - 2} loaded, 2 remapped, 0 initialised, 0 unused"
    )
    from equikpt.checkpoints.remap.checkpoint import remap_checkpoint

    expected, _ = remap_checkpoint(torch.load(files / "ap10k.pth"), model, "ap10k")
    written = torch.load(files / "out" / "horse26.pth", weights_only=True)
    model.load_state_dict(written["state_dict"])  # strict
    assert all(torch.equal(model.state_dict()[name], value) for name, value in expected.items())
    # without the versions of the classes, MMPose would take the names for those of old releases
    assert written["state_dict"]._metadata["head"]["version"] == 2
    # neither the old points nor the old epochs are the new model's
    assert not {"dataset_meta", "epoch"} & set(written["meta"])
    assert written["meta"]["keypoints"][:2] == ["nose", "l_eye"]
    assert [path.name for path in (files / "out").iterdir()] == ["horse26.pth"]

    before = (files / "out" / "horse26.pth").read_bytes()
    again = run_tool(*arguments(files))
    assert again.returncode == 2
    assert again.stderr.splitlines()[-1].startswith("error: expected ")
    assert "--overwrite" in again.stderr
    assert (files / "out" / "horse26.pth").read_bytes() == before


def test_a_wrong_source_is_one_sentence(run_tool, files):
    done = run_tool(*arguments(files, source="animalpose"))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: expected a checkpoint of the 20 points")
    assert "Traceback" not in done.stderr
    assert not (files / "out").exists()


def test_missing_tensors_are_allowed_by_name(files):
    from equikpt.checkpoints.remap.checkpoint import remap_file

    checkpoint = torch.load(files / "ap10k.pth")
    del checkpoint["state_dict"]["backbone.conv1.weight"]
    torch.save(checkpoint, files / "ap10k.pth")
    out = files / "out.pth"
    out.write_bytes(b"old")
    options = dict(config=str(files / "config.py"), source="ap10k", overwrite=True)
    with pytest.raises(ValueError, match=r"backbone\.conv1\.weight \(not in the checkpoint\)"):
        remap_file(files / "ap10k.pth", out, **options)
    assert out.read_bytes() == b"old"
    rows = remap_file(files / "ap10k.pth", out, **options, allow_missing=["backbone.conv1.*"])
    assert {row.name for row in rows if row.outcome == "initialised"} == {"backbone.conv1.weight"}
    written = torch.load(out, weights_only=True)["state_dict"]  # whole: what loads it is strict
    assert written["backbone.conv1.weight"].abs().sum() > 0


def test_a_checkpoint_that_is_not_there_is_named(files):
    from equikpt.checkpoints.remap.checkpoint import remap_file

    with pytest.raises(FileNotFoundError, match=r"gone\.pth"):
        remap_file(files / "gone.pth", files / "out.pth", config="unused.py", source="ap10k")
