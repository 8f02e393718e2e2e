from __future__ import annotations

import numpy as np
import pytest

from equikpt.evaluation.functional.conformal import conformal_quantile, coverage


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("count", [20, 57])
def test_single_items_give_the_textbook_rank(level, count):
    ratios = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    rank = int(np.ceil((count + 1) * level - 1e-9))
    expected = float(rank) if rank <= count else np.inf
    assert conformal_quantile(ratios, np.arange(count), level) == expected


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_just_enough_clusters_give_a_limit(level):
    needed = int(np.ceil(level / (1 - level) - 1e-9))
    ratios = np.ones(needed)
    assert conformal_quantile(ratios, np.arange(needed), level) == 1.0
    assert conformal_quantile(ratios[1:], np.arange(needed - 1), level) == np.inf


def draw_videos(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors of videos of up to 60 frames, each with its own size; the easy ones are long."""
    size_px = rng.lognormal(0, 1, count)
    videos = np.repeat(np.arange(count), np.clip(10 / size_px, 1, 60).astype(int))
    return np.abs(rng.normal(size=len(videos))) * size_px[videos], videos


def test_a_further_video_is_covered_where_frames_alone_would_promise_too_much():
    rng = np.random.default_rng(0)
    covered: dict[str, list[float]] = {"videos": [], "frames": []}
    for _ in range(600):
        ratios, videos = draw_videos(rng, 12)
        further = draw_videos(rng, 1)[0]
        for name, clusters in (("videos", videos), ("frames", np.arange(len(videos)))):
            limit = conformal_quantile(ratios, clusters, 0.9)
            covered[name].append(coverage(further, np.full(len(further), limit)))
    assert np.mean(covered["videos"]) >= 0.89
    assert np.mean(covered["frames"]) < 0.88


@pytest.mark.parametrize("level", [0.0, 1.0, 90])
def test_levels_are_probabilities(level):
    with pytest.raises(ValueError, match="level"):
        conformal_quantile(np.ones(5), np.arange(5), level)


def test_coverage_leaves_unlabelled_points_out():
    assert coverage(np.array([1.0, np.nan, 3.0]), np.array([2.0, 2.0, 2.0])) == 0.5
