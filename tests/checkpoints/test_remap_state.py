from __future__ import annotations

import itertools

import pytest
import torch

from equikpt.checkpoints.remap_state import (
    HEAD,
    PointMatch,
    TensorRow,
    format_rows,
    head_family,
    keypoint_dims,
    remap_state_dict,
)
from equikpt.metainfo.correspondence import KEYPOINT_NAMES, mapping
from tests.checkpoints.remap.models import build, heatmap_head, rtmcc_head

# --- heads ---


def convs(points: int, *widths: int, kind: str = "conv", **options) -> dict:
    options |= {f"{kind}_out_channels": widths, f"{kind}_kernel_sizes": (4,) * len(widths)}
    return {**heatmap_head(points), **options}


VARIANTS = {
    "final layer": heatmap_head,
    "final layer 3 x 3": lambda k: heatmap_head(k, final_layer=dict(kernel_size=3)),
    "convolutions before it": lambda k: convs(k, 6, 7),
    "convolutions alone": lambda k: convs(k, 6, k, final_layer=None),
    "deconvolution before it": lambda k: convs(k, 6, kind="deconv"),
    "deconvolution alone": lambda k: convs(k, k, kind="deconv", final_layer=None),
    "RTMCC": rtmcc_head,
    "RTMCC by order": lambda k: rtmcc_head(k, use_rel_bias=True, pos_enc=True),
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_the_table_names_all_that_changes_with_the_number_of_points(variant):
    small, large = build(variant(17)), build(variant(26))
    family = head_family(large.head)
    dims = keypoint_dims(large.state_dict(), family)
    for name, tensor in large.state_dict().items():
        lengths = zip(small.state_dict()[name].shape, tensor.shape, strict=True)
        changed = [dim for dim, (a, b) in enumerate(lengths) if a != b]
        if name.removeprefix(HEAD) in family.by_order:
            assert changed == [0]
        else:
            assert changed == ([dims[name]] if name in dims else [])
    assert dims


def test_a_head_is_of_the_family_of_its_bases():
    head = build(heatmap_head(26)).head
    derived = type("MyHead", (type(head),), {})
    assert head_family(derived(8, 26, None)) is head_family(head)
    with pytest.raises(TypeError, match="got list"):
        head_family([])
    with pytest.raises(ValueError, match=r"expected a model with head\.final_layer"):
        keypoint_dims({"backbone.conv1.weight": torch.zeros(8, 3, 3, 3)}, head_family(head))


# --- points ---


def weights(points: int, dim: int = 0, dtype=torch.float32) -> torch.Tensor:
    shape = [3, 2, 5]
    shape[dim] = points
    return torch.randn(shape, generator=torch.Generator().manual_seed(points)).to(dtype)


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize(("source", "target"), [*itertools.permutations(KEYPOINT_NAMES, 2)])
def test_equal_points_are_copied_and_others_are_their_mean(source, target, dim):
    theirs, ours = KEYPOINT_NAMES[source], KEYPOINT_NAMES[target]
    before = weights(len(theirs), dim)
    after = PointMatch(source, target).apply(before, dim)
    sources = {goal: start for start, goal in mapping(source, target).items()}
    copied = [before.select(dim, theirs.index(name)) for name in sources.values()]
    mean = sum(copied) / len(copied)
    assert after.shape[dim] == len(ours)
    for index, name in enumerate(ours):
        if name in sources:
            expected = before.select(dim, theirs.index(sources[name]))
            assert torch.equal(after.select(dim, index), expected), name
        else:
            torch.testing.assert_close(after.select(dim, index), mean, rtol=1e-5, atol=1e-6)


LOST_TO_17 = {"l_ear", "r_ear", "withers", "back", "tail_end"}
LOST_TO_17 |= {"lf_fetlock", "rf_fetlock", "lh_fetlock", "rh_fetlock"}
LOST_OF_HORSE10 = {"Shoulder", "Midshoulder", "Girth", "Hip", "Ischium", "Eye", "Elbow", "Stifle"}


@pytest.mark.parametrize(
    ("source", "over", "lost"),
    [
        ("ap10k", "horse26", set()),
        ("animalpose", "horse26", {"Throat"}),
        ("horse10", "horse26", LOST_OF_HORSE10),
        ("horse26", "ap10k", LOST_TO_17),
        ("horse26", "horse26", set()),
    ],
)
def test_there_and_back_is_the_identity_where_points_correspond(source, over, lost):
    before = weights(len(KEYPOINT_NAMES[source]))
    back = PointMatch(over, source).apply(PointMatch(source, over).apply(before, 0), 0)
    for name, old, new in zip(KEYPOINT_NAMES[source], before, back, strict=True):
        assert torch.equal(old, new) == (name not in lost), name


def test_the_result_shares_no_memory_and_keeps_its_type():
    before = weights(17, dtype=torch.float16)
    after = PointMatch("ap10k", "horse26").apply(before, 0)
    assert after.dtype == torch.float16
    before.zero_()
    assert after.abs().sum(1).min() > 0
    assert after.is_contiguous()


def test_the_words_name_every_point():
    copied, mean = PointMatch("ap10k", "horse26").describe().split("; mean of these: ")
    assert copied.startswith("nose = Nose, l_eye = L_Eye, ")
    assert "l_knee = L_Elbow" in copied
    assert mean.startswith("l_ear, r_ear, withers, ")
    assert len(copied.split(", ")) + len(mean.split(", ")) == 26
    assert "mean" not in PointMatch("horse26", "ap10k").describe()


@pytest.mark.parametrize("sets", [("coco", "horse26"), ("ap10k", "coco"), ("coco", "coco")])
def test_an_unknown_set_is_an_error(sets):
    with pytest.raises(ValueError, match="'coco'"):
        PointMatch(*sets)


# --- state dicts ---

BN = "backbone.bn1.running_mean"


@pytest.fixture(scope="module")
def family():
    return head_family(build(heatmap_head(26)).head)


@pytest.fixture
def theirs():
    return dict(build(heatmap_head(17), seed=1).state_dict())


@pytest.fixture
def ours():
    return dict(build(heatmap_head(26), seed=2).state_dict())


def of_outcome(rows, outcome) -> set[str]:
    return {row.name for row in rows if row.outcome == outcome}


def test_every_tensor_has_one_row(family, theirs, ours):
    theirs["head.old.weight"] = torch.zeros(3)
    state, rows = remap_state_dict(theirs, ours, family, "ap10k")
    assert [row.name for row in rows] == [*ours, "head.old.weight"]
    remapped = {"head.final_layer.weight", "head.final_layer.bias"}
    assert of_outcome(rows, "remapped") == remapped
    assert of_outcome(rows, "unused") == {"head.old.weight"}
    assert of_outcome(rows, "loaded") == set(ours) - remapped
    assert list(state) == list(ours)
    for name, tensor in state.items():
        assert tensor.shape == ours[name].shape
        assert name in remapped or torch.equal(tensor, theirs[name])
    detail = next(row.detail for row in rows if row.outcome == "remapped")
    assert "tail_base = Root of tail" in detail


@pytest.mark.parametrize("source", ["ap10k", "horse26"])
def test_a_checkpoint_of_the_target_set_passes_unchanged(family, ours, source):
    trained = dict(build(heatmap_head(26), seed=5).state_dict())
    state, rows = remap_state_dict(trained, ours, family, source)
    assert of_outcome(rows, "loaded") == set(ours)
    assert all(torch.equal(state[name], trained[name]) for name in ours)


@pytest.mark.parametrize("points", [17, 26], ids=["other points", "the same points"])
def test_the_bias_of_positions_in_the_list_starts_anew(points):
    theirs = build(rtmcc_head(points, use_rel_bias=True)).state_dict()
    model = build(rtmcc_head(26, use_rel_bias=True), seed=3)
    state, rows = remap_state_dict(theirs, model.state_dict(), head_family(model.head), "ap10k")
    assert of_outcome(rows, "initialised") == ({"head.gau.w"} if points == 17 else set())
    assert ("head.gau.w" in state) == (points == 26)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("backbone.layer1.0.conv1.weight", torch.zeros(8, 4, 3, 3)),
        ("head.final_layer.weight", torch.zeros(17, 8, 3, 3)),
        (BN, None),
    ],
    ids=["other shape", "other kernel of the output layer", "missing"],
)
def test_a_tensor_that_does_not_fit_is_named_unless_allowed(family, theirs, ours, name, tensor):
    theirs[name] = tensor
    if tensor is None:
        del theirs[name]
    for allowed in ([], ["backbone.bn1.weight"]):
        with pytest.raises(ValueError, match=rf"1 of its \d+ tensors do not load: {name}"):
            remap_state_dict(theirs, ours, family, "ap10k", allow_missing=allowed)
    state, rows = remap_state_dict(theirs, ours, family, "ap10k", allow_missing=[name])
    assert of_outcome(rows, "initialised") == {name}
    assert set(ours) - set(state) == {name}


def test_many_tensors_are_counted(family, ours):
    with pytest.raises(ValueError, match=r"but \d+ of its \d+ tensors .* and \d\d more; take"):
        remap_state_dict({}, ours, family, "ap10k")


def test_old_batch_norm_had_no_counter(family, theirs, ours):
    kept = {name: value for name, value in theirs.items() if "num_batches" not in name}
    assert len(kept) < len(theirs)
    _, rows = remap_state_dict(kept, ours, family, "ap10k")
    assert of_outcome(rows, "initialised") == set(theirs) - set(kept)


@pytest.mark.parametrize("side_px", [32, 48])
def test_another_input_size_is_allowed_by_name(side_px):
    theirs = build(rtmcc_head(17)).state_dict()
    model = build(rtmcc_head(26, side_px=side_px))
    arguments = (theirs, model.state_dict(), head_family(model.head), "ap10k")
    if side_px == 48:
        with pytest.raises(ValueError, match=r"2 of its \d+ .*: head\.cls_x\.weight"):
            remap_state_dict(*arguments)
    state, _ = remap_state_dict(*arguments, allow_missing=["head.cls_*"])
    assert ("head.cls_x.weight" in state) == (side_px == 32)


@pytest.mark.parametrize("source", ["animalpose", "horse26"])
def test_another_number_of_points_is_an_error(family, theirs, ours, source):
    with pytest.raises(ValueError, match=r"of the 26 of horse26.*weight has 17.*ap10k \(17\)"):
        remap_state_dict(theirs, ours, family, source)
    with pytest.raises(ValueError, match=r"a model of the 26 points of horse26.*weight has 17"):
        remap_state_dict(theirs, theirs, family, "ap10k")


@pytest.mark.parametrize(
    ("patterns", "error"), [(["head.cls*"], ValueError), ("head.*", TypeError)]
)
def test_patterns_that_cannot_be_meant(family, theirs, ours, patterns, error):
    with pytest.raises(error, match=r"head\."):
        remap_state_dict(theirs, ours, family, "ap10k", allow_missing=patterns)


def test_one_line_a_tensor_and_their_numbers():
    rows = [
        TensorRow("a.weight", "loaded", (3, 4)),
        TensorRow("a.steps", "initialised", (), "not in the checkpoint"),
        TensorRow("b", "unused", (2,), "no counterpart"),
        TensorRow("c", "loaded", (1,)),
    ]
    assert format_rows(rows) == [
        "loaded       a.weight (3, 4)",
        "initialised  a.steps (): not in the checkpoint",
        "unused       b (2,): no counterpart",
        "loaded       c (1,)",
        "4 tensors: 2 loaded, 0 remapped, 1 initialised, 1 unused",
    ]
