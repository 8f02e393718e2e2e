"""What the benchmarks compute, on data small enough to know the answer."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import REPO

SIGMAS = np.full(3, 0.05)


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(REPO / "benchmarks"))
    yield
    for name in ("bootstrap", "transfer"):
        sys.modules.pop(name, None)


@pytest.fixture
def truth(tmp_path):
    """Twelve pictures with one or two objects of three points."""
    generator = np.random.default_rng(0)
    annotations = []
    for picture in range(12):
        for _ in range(1 + picture % 2):
            points = np.column_stack([generator.uniform(20, 80, (3, 2)), [2, 2, 1]])
            annotations.append(
                dict(id=len(annotations) + 1, image_id=picture, category_id=1, area=2500.0,
                     bbox=[10.0, 10.0, 80.0, 80.0], iscrowd=0, num_keypoints=3,
                     keypoints=points.ravel().tolist())
            )  # fmt: skip
    images = [dict(id=i, width=100, height=100, file_name=f"{i}.png") for i in range(12)]
    path = tmp_path / "truth.json"
    path.write_text(
        json.dumps(
            dict(images=images, annotations=annotations, categories=[dict(id=1, name="horse")])
        )
    )
    return path


def predictions(truth, error_px: float) -> list[dict]:
    generator = np.random.default_rng(1)
    results = []
    for annotation in json.loads(truth.read_text())["annotations"]:
        points = np.array(annotation["keypoints"], float).reshape(3, 3)
        points[:, :2] += generator.normal(0, error_px, (3, 2))
        points[:, 2] = 1
        results.append(
            dict(image_id=annotation["image_id"], category_id=1, score=float(generator.random()),
                 keypoints=points.ravel().tolist())
        )  # fmt: skip
    return results


def test_perfect_predictions_score_one_whatever_is_drawn(benchmarks, truth):
    from bootstrap import score

    for value, low, high in score(truth, predictions(truth, 0.0), SIGMAS, resamples=20).values():
        assert value == pytest.approx(1.0)
        assert low == pytest.approx(1.0)
        assert high == pytest.approx(1.0)


def test_scores_are_cocos_and_lie_within_their_intervals(benchmarks, truth):
    from bootstrap import score
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    results = predictions(truth, 4.0)
    scores = score(truth, results, SIGMAS, resamples=200)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(truth))
        reference = COCOeval(coco, coco.loadRes(results), "keypoints")
        reference.params.kpt_oks_sigmas = SIGMAS
        reference.evaluate()
        reference.accumulate()
        reference.summarize()
    assert scores["AP"][0] == pytest.approx(reference.stats[0])
    assert scores["AP50"][0] == pytest.approx(reference.stats[1])
    assert 0.05 < scores["PCK@0.05"][0] < 0.95
    for value, low, high in scores.values():
        assert low <= value <= high
    assert scores["AP"][1] < scores["AP"][2]


def test_smaller_subsets_lie_within_larger_ones(benchmarks, truth, tmp_path):
    from transfer import write_subset

    chosen = {}
    for size in (3, 6, 100):
        write_subset(truth, tmp_path / "subset.json", size, seed=5)
        subset = json.loads((tmp_path / "subset.json").read_text())
        chosen[size] = {image["id"] for image in subset["images"]}
        assert {a["image_id"] for a in subset["annotations"]} == chosen[size]
    assert len(chosen[3]) == 3
    assert chosen[3] < chosen[6] < chosen[100] == set(range(12))


def test_a_step_takes_the_mean_over_the_phases(benchmarks, tmp_path, monkeypatch):
    import transfer

    step_s = {7: 1.0, 2: 2.0, -1: 3.0}
    tried = []

    def build_config(args, recipe, *_):
        logger = SimpleNamespace(interval=10)
        return SimpleNamespace(
            frozen=recipe["frozen"], default_hooks=SimpleNamespace(logger=logger)
        )

    def train(args, cfg, *_):
        tried.append(cfg.frozen)
        return dict(step_s=step_s[cfg.frozen])

    monkeypatch.setattr(transfer, "build_config", build_config)
    monkeypatch.setattr(transfer, "train", train)
    args = SimpleNamespace(out=tmp_path, options=[], jobs=1)

    def expected(**recipe) -> float:
        return transfer.expected_step_s(args, recipe, tmp_path / "train.json", steps=21)

    assert expected(phases=((0.0, 7), (0.2, -1))) == pytest.approx(0.2 * 1 + 0.8 * 3)
    assert expected(frozen=2) == pytest.approx(2.0)
    assert expected() == pytest.approx(3.0)
    assert tried == [7, -1, 2]  # each once


def test_means_over_seeds_put_the_best_recipe_of_each_size_first(benchmarks, capsys):
    import transfer

    def row(name: str, size: int, seed: int, ap: float) -> dict:
        return dict(
            name=name, size=size, seed=seed, steps=100, img_s=20.0 + seed, scores={"AP": [ap, 0, 1]}
        )

    rows = [
        *(row("weak", 50, 0, 0.1), row("weak", 50, 1, 0.3)),
        *(row("good", 50, 0, 0.6), row("good", 150, 0, 0.7)),
    ]
    transfer.print_means(rows)
    assert capsys.readouterr().out.splitlines()[3:] == [
        "| 150 | good | 1 | 100 | 20.0 | 0.700 |",
        "| 50 | good | 1 | 100 | 20.0 | 0.600 |",
        "| 50 | weak | 2 | 100 | 20.5 | 0.200 |",
    ]
