from __future__ import annotations

import pytest
import torch

from equikpt.checkpoints.remap.heads import head_family
from equikpt.checkpoints.remap.state import TensorRow, format_rows, remap_state_dict
from tests.checkpoints.remap.models import build, heatmap_head, rtmcc_head


@pytest.fixture(scope="module")
def family():
    return head_family(build(heatmap_head(26)).head)


@pytest.fixture
def theirs():
    return dict(build(heatmap_head(17), seed=1).state_dict())


@pytest.fixture
def ours():
    return dict(build(heatmap_head(26), seed=2).state_dict())


def outcomes(rows):
    return {row.name: row.outcome for row in rows}


def test_every_tensor_has_one_row(family, theirs, ours):
    theirs["head.old.weight"] = torch.zeros(3)
    state, rows = remap_state_dict(theirs, ours, family, "ap10k")
    assert [row.name for row in rows] == [*ours, "head.old.weight"]
    found = outcomes(rows)
    assert {name for name, what in found.items() if what == "remapped"} == {
        "head.final_layer.weight",
        "head.final_layer.bias",
    }
    assert found["head.old.weight"] == "unused"
    assert {what for name, what in found.items() if name.startswith("backbone.")} == {"loaded"}
    assert list(state) == list(ours)
    for name, tensor in state.items():
        assert tensor.shape == ours[name].shape
        if found[name] == "loaded":
            assert torch.equal(tensor, theirs[name])
    detail = next(row.detail for row in rows if row.outcome == "remapped")
    assert "tail_base = Root of tail" in detail


def test_a_checkpoint_of_the_target_set_passes_unchanged(family, ours):
    trained = dict(build(heatmap_head(26), seed=5).state_dict())
    for source in ("ap10k", "horse26"):
        state, rows = remap_state_dict(trained, ours, family, source)
        assert {row.outcome for row in rows} == {"loaded"}
        assert all(torch.equal(state[name], trained[name]) for name in ours)


def test_the_bias_of_places_in_the_list_starts_anew():
    theirs = build(rtmcc_head(17, use_rel_bias=True)).state_dict()
    model = build(rtmcc_head(26, use_rel_bias=True), seed=3)
    state, rows = remap_state_dict(theirs, model.state_dict(), head_family(model.head), "ap10k")
    assert "head.gau.w" not in state
    row = next(row for row in rows if row.name == "head.gau.w")
    assert row.outcome == "initialised"
    assert "order of the points" in row.detail
    # and stays where the points are the same
    state, rows = remap_state_dict(
        model.state_dict(), model.state_dict(), head_family(model.head), "ap10k"
    )
    assert {row.outcome for row in rows} == {"loaded"}


def test_a_tensor_that_does_not_fit_is_named(family, theirs, ours):
    name = "backbone.layer1.0.conv1.weight"
    theirs[name] = torch.zeros(8, 4, 3, 3)
    with pytest.raises(
        ValueError,
        match=r"1 of its \d+ tensors do not load: backbone.*conv1.weight \(\(8, 4, 3, 3\) in the",
    ):
        remap_state_dict(theirs, ours, family, "ap10k")
    state, rows = remap_state_dict(theirs, ours, family, "ap10k", allow_missing=["*.0.conv1.*"])
    assert outcomes(rows)[name] == "initialised"
    assert name not in state
    assert len(state) == len(ours) - 1


def test_a_tensor_that_is_missing_is_named(family, theirs, ours):
    del theirs["backbone.bn1.running_mean"]
    with pytest.raises(ValueError, match=r"backbone.bn1.running_mean \(not in the checkpoint\)"):
        remap_state_dict(theirs, ours, family, "ap10k")
    with pytest.raises(ValueError, match=r"backbone.bn1.running_mean"):  # another one is allowed
        remap_state_dict(theirs, ours, family, "ap10k", allow_missing=["backbone.bn1.weight"])


def test_many_tensors_are_counted(family, ours):
    with pytest.raises(
        ValueError, match=r"but \d+ of its \d+ tensors do not load: .* and \d\d more; take"
    ):
        remap_state_dict({}, ours, family, "ap10k")


def test_old_batch_norm_had_no_counter(family, theirs, ours):
    kept = {name: value for name, value in theirs.items() if "num_batches" not in name}
    assert len(kept) < len(theirs)
    _, rows = remap_state_dict(kept, ours, family, "ap10k")
    assert {row.name for row in rows if row.outcome == "initialised"} == set(theirs) - set(kept)


@pytest.mark.parametrize("side_px", [32, 48])
def test_another_input_size_is_allowed_by_name(side_px):
    theirs = build(rtmcc_head(17)).state_dict()
    model = build(rtmcc_head(26, side_px=side_px))
    arguments = (theirs, model.state_dict(), head_family(model.head), "ap10k")
    if side_px == 48:
        with pytest.raises(
            ValueError, match=r"2 of its \d+ tensors do not load: head\.cls_x\.weight"
        ):
            remap_state_dict(*arguments)
    state, _ = remap_state_dict(*arguments, allow_missing=["head.cls_*"])
    assert ("head.cls_x.weight" in state) == (side_px == 32)


def test_another_kernel_of_the_output_layer_does_not_fit(family, theirs, ours):
    theirs["head.final_layer.weight"] = torch.zeros(17, 8, 3, 3)
    with pytest.raises(ValueError, match=r"1 of its .*head.final_layer.weight \(\(17, 8, 3, 3\)"):
        remap_state_dict(theirs, ours, family, "ap10k")


@pytest.mark.parametrize("source", ["animalpose", "horse26"])
def test_another_number_of_points_is_an_error(family, theirs, ours, source):
    with pytest.raises(ValueError, match=r"of the 26 of horse26.*weight has 17.*ap10k \(17\)"):
        remap_state_dict(theirs, ours, family, source)


def test_a_model_of_another_number_of_points_is_an_error(family, theirs):
    with pytest.raises(ValueError, match=r"a model of the 26 points of horse26.*weight has 17"):
        remap_state_dict(theirs, theirs, family, "ap10k")


def test_a_pattern_that_names_nothing_is_an_error(family, theirs, ours):
    with pytest.raises(ValueError, match=r"none matches 'head\.cls\*'.*named like backbone\."):
        remap_state_dict(theirs, ours, family, "ap10k", allow_missing=["head.cls*"])


def test_a_string_is_no_list_of_patterns(family, theirs, ours):
    with pytest.raises(TypeError, match=r"write \['head\.\*'\]"):
        remap_state_dict(theirs, ours, family, "ap10k", allow_missing="head.*")


def test_one_line_a_tensor_and_their_numbers():
    rows = [
        TensorRow("a.weight", "loaded", (3, 4)),
        TensorRow("a.steps", "initialised", (), "not in the checkpoint"),
        TensorRow("b", "unused", (2,), "no place"),
        TensorRow("c", "loaded", (1,)),
    ]
    assert format_rows(rows) == [
        "loaded       a.weight (3, 4)",
        "initialised  a.steps (): not in the checkpoint",
        "unused       b (2,): no place",
        "loaded       c (1,)",
        "4 tensors: 2 loaded, 0 remapped, 1 initialised, 1 unused",
    ]
