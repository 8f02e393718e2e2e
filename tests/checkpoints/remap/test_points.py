from __future__ import annotations

import itertools

import pytest
import torch

from equikpt.checkpoints.remap.points import PointMatch
from equikpt.metainfo.correspondence import KEYPOINT_NAMES, mapping

PAIRS = list(itertools.permutations(KEYPOINT_NAMES, 2))


def weights(points: int, dim: int = 0, dtype=torch.float32) -> torch.Tensor:
    shape = [3, 2, 5]
    shape[dim] = points
    return torch.randn(shape, generator=torch.Generator().manual_seed(points)).to(dtype)


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize(("source", "target"), PAIRS, ids=lambda name: name)
def test_equal_points_are_copied_and_others_are_their_mean(source, target, dim):
    theirs, ours = KEYPOINT_NAMES[source], KEYPOINT_NAMES[target]
    before = weights(len(theirs), dim)
    after = PointMatch.between(source, target).apply(before, dim)
    sources = {goal: start for start, goal in mapping(source, target).items()}
    copied = [before.select(dim, theirs.index(name)) for name in sources.values()]
    mean = sum(copied) / len(copied)
    assert after.shape[dim] == len(ours)
    for place, name in enumerate(ours):
        if name in sources:
            expected = before.select(dim, theirs.index(sources[name]))
            assert torch.equal(after.select(dim, place), expected), name
        else:
            torch.testing.assert_close(after.select(dim, place), mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("source", "lost"),
    [
        ("ap10k", set()),  # all 17 are among the 26: the trip is the identity
        ("animalpose", {"Throat"}),
        (
            "horse10",
            {"Shoulder", "Midshoulder", "Girth", "Hip", "Ischium"} | {"Eye", "Elbow", "Stifle"},
        ),
    ],
)
def test_to_horse26_and_back_is_the_identity_where_points_correspond(source, lost):
    before = weights(len(KEYPOINT_NAMES[source]))
    there = PointMatch.between(source, "horse26").apply(before, 0)
    back = PointMatch.between("horse26", source).apply(there, 0)
    kept = [name not in lost for name in KEYPOINT_NAMES[source]]
    assert torch.equal(back[kept], before[kept])
    for place, is_kept in enumerate(kept):
        assert torch.equal(back[place], before[place]) == is_kept


def test_horse26_to_17_and_back_loses_the_nine_others():
    before = weights(26)
    there = PointMatch.between("horse26", "ap10k").apply(before, 0)
    back = PointMatch.between("ap10k", "horse26").apply(there, 0)
    same = [torch.equal(a, b) for a, b in zip(before, back, strict=True)]
    lost = [
        name for name, is_same in zip(KEYPOINT_NAMES["horse26"], same, strict=True) if not is_same
    ]
    assert lost == [
        *("l_ear", "r_ear", "withers", "back", "tail_end"),
        *("lf_fetlock", "rf_fetlock", "lh_fetlock", "rh_fetlock"),
    ]


def test_the_result_shares_no_memory_and_keeps_its_type():
    before = weights(17, dtype=torch.float16)
    after = PointMatch.between("ap10k", "horse26").apply(before, 0)
    assert after.dtype == torch.float16
    before.zero_()
    assert after.abs().sum(1).min() > 0
    assert after.is_contiguous()


def test_a_set_matches_itself():
    before = weights(26)
    assert torch.equal(PointMatch.between("horse26", "horse26").apply(before, 0), before)


def test_the_words_name_every_point():
    words = PointMatch.between("ap10k", "horse26").describe()
    copied, mean = words.split("; mean of these: ")
    assert copied.startswith("nose = Nose, l_eye = L_Eye, ")
    assert "l_knee = L_Elbow" in copied
    assert mean.startswith("l_ear, r_ear, withers, ")
    assert len(copied.split(", ")) + len(mean.split(", ")) == 26
    assert "mean" not in PointMatch.between("horse26", "ap10k").describe()


@pytest.mark.parametrize("sets", [("coco", "horse26"), ("ap10k", "coco"), ("coco", "coco")])
def test_an_unknown_set_is_an_error(sets):
    with pytest.raises(ValueError, match=r"'coco'; there is one for horse26, ap10k"):
        PointMatch.between(*sets)
