from __future__ import annotations

from collections import OrderedDict

import pytest
import torch

from equikpt.checkpoints.remap import remap_checkpoint
from equikpt.metainfo.correspondence import AP10K, HORSE26, KEYPOINT_NAMES, index_pairs
from tests.checkpoints.remap.models import build, heatmap_head, images, rtmcc_head


def loaded(checkpoint, model, source="ap10k", **options):
    """``model`` with the fitted checkpoint, through MMEngine's own loading."""
    from mmengine.runner.checkpoint import _load_checkpoint_to_model

    state, rows = remap_checkpoint(checkpoint, model, source, **options)
    _load_checkpoint_to_model(model, {"state_dict": state}, strict=True)
    return rows


def renamed(state, rename):
    """The same tensors under other names, without the versions of today's classes."""
    return OrderedDict((rename(name), value) for name, value in state.items())


# --- what is kept ---


@pytest.mark.parametrize(
    "options",
    [
        {},
        dict(conv_out_channels=(6,), conv_kernel_sizes=(3,)),
        dict(deconv_out_channels=(6,), deconv_kernel_sizes=(4,)),
    ],
    ids=["final layer", "convolution", "deconvolution"],
)
@pytest.mark.parametrize("source", ["ap10k", "animalpose", "horse10"])
@torch.no_grad()
def test_heatmaps_of_equal_points_are_the_same(source, options):
    theirs = build(heatmap_head(len(KEYPOINT_NAMES[source])) | options, seed=1)
    ours = build(heatmap_head(26) | options, seed=2)
    a, b = index_pairs(source)
    before = theirs.head(theirs.backbone(images()))
    untouched = ours.head(ours.backbone(images()))
    loaded({"state_dict": theirs.state_dict()}, ours, source)
    after = ours.head(ours.backbone(images()))
    torch.testing.assert_close(after[:, b], before[:, a], rtol=0, atol=1e-5)
    assert (untouched[:, b] - before[:, a]).abs().max() > 0.1
    # a head is linear in its output channels: the mean of channels draws the mean of the maps
    others = [k for k in range(26) if k not in b]
    mean = before[:, a].mean(1, keepdim=True).expand(-1, len(others), -1, -1)
    torch.testing.assert_close(after[:, others], mean, rtol=0, atol=1e-5)


@torch.no_grad()
def test_an_rtmcc_head_is_the_same_up_to_its_attention():
    theirs, ours = build(rtmcc_head(17), seed=1), build(rtmcc_head(26), seed=2)
    loaded({"state_dict": theirs.state_dict()}, ours)
    a, b = index_pairs("ap10k")

    def tokens(model):
        maps = model.head.final_layer(model.backbone(images())[-1])
        return maps, model.head.mlp(maps.flatten(2))

    for before, after in zip(tokens(theirs), tokens(ours), strict=True):
        torch.testing.assert_close(after[:, b], before[:, a], rtol=0, atol=1e-5)
    # each token attends to all of them, and there are nine more: here equality ends
    before, after = (model.head(model.backbone(images()))[0] for model in (theirs, ours))
    assert (after[:, b] - before[:, a]).abs().max() > 1e-4
    # with the nine out of sight, what is left is the same attention among the same tokens
    unseen = ours.head.gau(tokens(ours)[1][:, b])
    torch.testing.assert_close(
        unseen, theirs.head.gau(tokens(theirs)[1][:, a]), rtol=1e-5, atol=1e-5
    )


@torch.no_grad()
def test_to_26_points_and_back_predicts_the_same():
    theirs = build(rtmcc_head(17), seed=1)
    large, back = build(rtmcc_head(26), seed=2), build(rtmcc_head(17), seed=3)
    loaded({"state_dict": theirs.state_dict()}, large)
    loaded({"state_dict": large.state_dict()}, back, source="horse26", target="ap10k")
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name
    assert torch.equal(
        back.head(back.backbone(images()))[0], theirs.head(theirs.backbone(images()))[0]
    )


# --- old and wrapped checkpoints ---

CONVS = dict(conv_out_channels=(6, 7), conv_kernel_sizes=(3, 3))


def in_old_names(name: str) -> str:
    """MMPose 0.x: another name of the head, and one sequence of all its convolutions."""
    name = name.replace("head.conv_layers.", "head.final_layer.")
    if name.startswith("head.final_layer.") and name.count(".") == 2:
        name = name.replace("final_layer.", "final_layer.6.")  # behind conv, BN, ReLU twice
    return name.replace("head.", "keypoint_head.", 1)


@pytest.mark.parametrize("options", [{}, CONVS], ids=["final layer", "convolutions"])
def test_names_of_old_releases_load(options):
    theirs = build(heatmap_head(17) | options, seed=1)
    expected, _ = remap_checkpoint(theirs.state_dict(), build(heatmap_head(26) | options), "ap10k")
    old = renamed(theirs.state_dict(), in_old_names if options else in_old_name_of_the_head)
    assert "keypoint_head.final_layer.6.weight" in old or not options
    ours = build(heatmap_head(26) | options, seed=2)
    rows = loaded({"state_dict": old, "meta": {"mmpose_version": "0.18.0"}}, ours)
    assert {row.name for row in rows} == set(ours.state_dict())
    assert all(torch.equal(ours.state_dict()[name], value) for name, value in expected.items())


def in_old_name_of_the_head(name: str) -> str:
    return name.replace("head.", "keypoint_head.", 1)


def test_an_old_head_of_other_layers_is_one_sentence():
    old = renamed(build(heatmap_head(17) | CONVS).state_dict(), in_old_names)
    with pytest.raises(ValueError, match="HeatmapHead"):
        remap_checkpoint({"state_dict": old}, build(heatmap_head(26)), "ap10k")


WRAPPINGS = {
    "bare": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "optimizer": {}},
    "module.": lambda state: {"state_dict": renamed(state, "module.{}".format)},
    "EMA alone": lambda state: {
        "ema_state_dict": {"steps": torch.tensor(3), **renamed(state, "module.{}".format)}
    },
    "EMA beside": lambda state: {
        "ema_state_dict": renamed(state, lambda name: f"module.other.{name}"),
        "state_dict": state,
    },
}


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
def test_weights_are_found_in_every_wrapping(wrap):
    state = build(heatmap_head(17), seed=1).state_dict()
    expected, _ = remap_checkpoint(state, build(heatmap_head(26)), "ap10k")
    found, rows = remap_checkpoint(wrap(state), build(heatmap_head(26)), "ap10k")
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert [row.name for row in rows if row.outcome == "unused"] in ([], ["steps"])


def test_what_mmpose_drops_has_its_row():
    state = build(heatmap_head(17)).state_dict()
    state["data_preprocessor.mean"] = torch.zeros(3, 1, 1)
    _, rows = remap_checkpoint({"state_dict": state}, build(heatmap_head(26)), "ap10k")
    assert (rows[-1].name, rows[-1].outcome) == ("data_preprocessor.mean", "unused")


def test_the_checkpoint_stays_as_it_was():
    state = renamed(build(heatmap_head(17)).state_dict(), in_old_name_of_the_head)
    before = {name: value.clone() for name, value in state.items()}
    remap_checkpoint({"state_dict": state}, build(heatmap_head(26)), "ap10k")
    assert list(state) == list(before)
    assert all(torch.equal(state[name], value) for name, value in before.items())


# --- mistakes ---


def test_other_heads_are_refused_by_name():
    head = dict(type="RegressionHead", in_channels=8, num_joints=26)
    for model, name in ((build(head), "RegressionHead"), (torch.nn.Linear(2, 2), "Linear")):
        with pytest.raises(TypeError, match=name):
            remap_checkpoint({}, model, "ap10k")


COCO_17 = ("nose", "left_eye", "right_eye", "left_ear", *(f"point {k}" for k in range(13)))


def with_names(names, points: int) -> dict:
    state = build(heatmap_head(points)).state_dict()
    id2name = dict(enumerate(names))
    return {"state_dict": state, "meta": {"dataset_meta": {"keypoint_id2name": id2name}}}


def test_a_checkpoint_of_other_points_of_the_same_number_is_refused():
    with pytest.raises(ValueError, match=r"points of ap10k \(L_Eye.*trained on nose, left_eye"):
        remap_checkpoint(with_names(COCO_17, 17), build(heatmap_head(26)), "ap10k")


@pytest.mark.parametrize(
    "names", [AP10K, HORSE26, [name.lower().replace(" ", "_") for name in AP10K]], ids=len
)
def test_a_checkpoint_that_names_the_right_points_is_taken(names):
    remap_checkpoint(with_names(names, len(names)), build(heatmap_head(26)), "ap10k")
