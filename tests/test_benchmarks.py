"""What the benchmarks compute, on data small enough to know the answer."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from tests.conftest import REPO

SIGMAS = np.full(3, 0.05)


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(REPO / "benchmarks"))
    before = set(sys.modules)
    yield
    for name in {path.stem for path in (REPO / "benchmarks").glob("*.py")} - before:
        sys.modules.pop(name, None)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gait", "gait_images", "time_to_score", "track"])
def test_a_benchmark_finds_its_modules_as_typed(name, tmp_path):
    typed = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    line = [sys.executable, str(REPO / "benchmarks" / f"{name}.py"), "--help"]
    done = subprocess.run(line, cwd=tmp_path, env=typed, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


@pytest.fixture
def gt(tmp_path):
    """Twelve images with one or two objects of three points."""
    generator = np.random.default_rng(0)
    annotations = []
    for image in range(12):
        for _ in range(1 + image % 2):
            points = np.column_stack([generator.uniform(20, 80, (3, 2)), [2, 2, 1]])
            annotations.append(
                dict(id=len(annotations) + 1, image_id=image, category_id=1, area=2500.0,
                     bbox=[10.0, 10.0, 80.0, 80.0], iscrowd=0, num_keypoints=3,
                     keypoints=points.ravel().tolist())
            )  # fmt: skip
    images = [dict(id=i, width=100, height=100, file_name=f"{i}.png") for i in range(12)]
    path = tmp_path / "gt.json"
    path.write_text(
        json.dumps(
            dict(images=images, annotations=annotations, categories=[dict(id=1, name="horse")])
        )
    )
    return path


def predictions(gt, error_px: float) -> list[dict]:
    generator = np.random.default_rng(1)
    results = []
    for annotation in json.loads(gt.read_text())["annotations"]:
        points = np.array(annotation["keypoints"], float).reshape(3, 3)
        points[:, :2] += generator.normal(0, error_px, (3, 2))
        points[:, 2] = 1
        results.append(
            dict(image_id=annotation["image_id"], category_id=1, score=float(generator.random()),
                 keypoints=points.ravel().tolist())
        )  # fmt: skip
    return results


def test_perfect_predictions_score_one_whatever_is_drawn(benchmarks, gt):
    from bootstrap import score

    for value, low, high in score(gt, predictions(gt, 0.0), SIGMAS, resamples=20).values():
        assert value == pytest.approx(1.0)
        assert low == pytest.approx(1.0)
        assert high == pytest.approx(1.0)


def test_scores_are_cocos_and_lie_within_their_intervals(benchmarks, gt):
    from bootstrap import score
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    results = predictions(gt, 4.0)
    scores = score(gt, results, SIGMAS, resamples=200)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(gt))
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


def test_smaller_subsets_lie_within_larger_ones(benchmarks, gt, tmp_path):
    from transfer import write_subset

    chosen = {}
    for size in (3, 6, 100):
        write_subset(gt, tmp_path / "subset.json", size, seed=5)
        subset = json.loads((tmp_path / "subset.json").read_text())
        chosen[size] = {image["id"] for image in subset["images"]}
        assert {a["image_id"] for a in subset["annotations"]} == chosen[size]
    assert len(chosen[3]) == 3
    assert chosen[3] < chosen[6] < chosen[100] == set(range(12))


def test_a_pose_model_is_trained_on_one_half_and_tried_on_the_other(
    benchmarks, gt, tmp_path, monkeypatch
):
    import transfer

    monkeypatch.setattr(transfer, "train", lambda *_: None)
    monkeypatch.setattr(transfer, "expected_step_s", lambda *_: 1.0)
    monkeypatch.setattr(
        transfer, "remap_file", lambda checkpoint, out, *_, **sets: out.write_text(str(sets))
    )
    made = []
    monkeypatch.setattr(
        transfer, "build_config", lambda args, recipe, *_, **__: made.append(recipe) or MagicMock()
    )
    argv = ["--data-root", str(tmp_path / "data"), "--out", str(tmp_path), "--pretrain", "half"]
    for _ in range(2):  # the second time from disk
        args = transfer.parse_args(argv)
        args.train_file = gt
        transfer.pretrain(args)
    assert made == [{}]
    assert args.start.read_text() == str(dict(source="horse26", target="ap10k"))
    half, others = (
        {image["id"] for image in json.loads(path.read_text())["images"]}
        for path in (args.start.parent / "train.json", args.train_file)
    )
    assert len(half) == len(others) == 6
    assert not half & others


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


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("change", ["turned", "scaled", "darkened", "noised", "cropped"])
def test_marks_stay_on_what_they_mark_when_a_radiograph_is_changed(benchmarks, change, seed):
    import cv2
    import ruler_robustness

    radiograph = np.full((300, 240, 3), 40, np.uint8)
    marks = np.array([[180.0, 200.0], [184.0, 150.0]])
    cv2.circle(radiograph, (180, 200), 3, (250,) * 3, -1)
    cv2.circle(radiograph, (184, 150), 3, (200,) * 3, -1)
    changed, moved = getattr(ruler_robustness, change)(
        np.random.default_rng(seed), radiograph, marks
    )
    blurred = cv2.GaussianBlur(changed[..., 0].astype(np.float32), (0, 0), 2)
    for mark in moved:
        x, y = mark.round().astype(int)
        around = blurred[y - 12 : y + 13, x - 12 : x + 13]
        row, column = np.unravel_index(around.argmax(), around.shape)
        assert np.hypot(column - 12, row - 12) < 1.6
    if change == "scaled":
        ratio = np.linalg.norm(moved[1] - moved[0]) / np.linalg.norm(marks[1] - marks[0])
        assert 0.8 <= ratio <= 1.25
        assert abs(ratio - 1) > 1e-3


def test_a_known_length_keeps_middle_and_direction(benchmarks):
    from ruler_robustness import with_length

    moved = with_length(np.array([[10.0, 10.0], [13.0, 14.0]]), 10.0)
    assert moved.tolist() == [[8.5, 8.0], [14.5, 16.0]]


def test_decoders_find_a_gaussian_between_cells(benchmarks):
    """The better ones to a twentieth of a cell; the highest cell alone is off by what it rounds."""
    from ruler_decoding import DECODERS

    x, y = np.meshgrid(np.arange(32.0), np.arange(24.0))
    places = np.array([[12.3, 9.8], [20.45, 14.6]])
    logits = np.stack(
        [10 - ((x - px) ** 2 + (y - py) ** 2) / (2 * 1.5**2) for px, py in places]
    ).astype(np.float32)
    error = {
        name: np.abs(decode(logits) - places).max().item() for name, decode in DECODERS.items()
    }
    assert error["argmax"] == pytest.approx(0.45, abs=1e-4)
    assert error["quarter"] < 0.45
    for name in ("soft-argmax 4", "soft-argmax 8", "soft-argmax, whole map"):
        assert error[name] < 0.05


def test_losses_are_compared_on_the_same_data_and_schedule(benchmarks, sample_people, tmp_path):
    import heatmap_losses

    arguments = ["--data-root", str(sample_people), "--steps", "8", "--by-heart", "--rate", "0.001"]
    args = heatmap_losses.parse_args([*arguments, "--config", "smoke/td-hm_litehrnet_coco-256x192"])
    configs = {
        name: heatmap_losses.build_config(args, name, seed=1, epochs=8)
        for name in heatmap_losses.LOSSES
    }
    ours = configs["focal + L1"]
    train, val = ours.train_dataloader.dataset, ours.val_dataloader.dataset
    assert train.ann_file == val.ann_file
    assert {step["type"] for step in train.pipeline} & {
        "AlbumentationsV2",
        "RandomElastic",
    } == set()
    assert configs["MSE"].model.head.loss == dict(type="KeypointMSELoss", use_target_weight=True)
    assert configs["BCE"].model.head.loss.gamma == 0
    assert configs["untrained"].optim_wrapper.optimizer.lr == 0
    for name in ("BCE", "MSE"):
        for key in ("train_dataloader", "val_dataloader", "optim_wrapper", "param_scheduler"):
            assert configs[name][key] == ours[key]


def test_a_sequence_ends_at_its_first_step_that_is_over(benchmarks):
    import counting

    image = dict(points=np.zeros((3, 2)), over=np.array([0.1, 0.6, 0.7, 0.9]))
    assert [counting.stopped(image, at) for at in (0.05, 0.5, 0.8, 2.0)] == [0, 1, 3, 3]
    import counting

    images = [
        dict(gt=np.zeros((2, 2)), over=np.array([0.1, 0.6, 0.9, 1.0])),
        dict(gt=np.zeros((0, 2)), over=np.array([0.4, 1.0])),
    ]
    assert counting.recalls(images, "over", 0.5) == (0.5, 0.5)
    assert counting.recalls(images, "over", 0.3) == (1.0, 0.5)


def test_points_are_matched_once(benchmarks):
    import counting

    gt = np.array([[0.0, 0.0], [100.0, 0.0]])
    points = np.array([[1.0, 0.0], [99.0, 0.0], [200.0, 0.0], [300.0, 0.0]])
    images = [dict(gt=gt, points=points)]
    told, four = (counting.scores_of(images, [number]) for number in (2, 4))
    assert (told["F1"], told["count_MAE"]) == (1.0, 0.0)
    assert (four["precision"], four["recall"], four["count_MAE"]) == (0.5, 1.0, 2.0)
    import counting

    gt = np.array([[0.0, 0.0], [10.0, 0.0]])
    points = np.array([[1.0, 0.0], [2.0, 0.0]])
    np.testing.assert_allclose(counting.free_running(gt, points), [1.0, 8.0])


@pytest.mark.parametrize("option", ["encoder.order=reading", "noise=0.0"])
def test_a_variant_changes_every_place_that_it_names(benchmarks, option, tmp_path):
    import counting

    args = SimpleNamespace(
        config="sequential_efficientnet-lite0_fsc147-384x384", data_root=tmp_path
    )
    cfg = counting.base_config(args)
    counting.change(cfg, option)
    loaders = (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader)
    steps = [step for loader in loaders for step in loader.dataset.pipeline]
    orders = {step.encoder.order for step in steps if "encoder" in step}
    sigmas = {hook.sigma for hook in cfg.custom_hooks if "sigma" in hook}
    assert (orders | {cfg.model.head.decoder.order} == {"reading"}) == ("order" in option)
    assert (sigmas == {0.0}) == ("noise" in option)


def test_every_config_has_data_a_score_and_a_length(benchmarks):
    import every_config

    from equikpt.core.configs import list_configs

    names = list_configs()
    assert set(every_config.EPOCHS) == {name for name in names if "smoke/" not in name}
    assert {every_config.kind_of(name).data for name in names} == {
        *("horses", "films", "people", "cells")
    }
    assert (
        every_config.kind_of("experimental/smoke/hm_litehrnet_coco-whole-256x256").metric
        == "pixel/AP"
    )
    assert (
        every_config.kind_of("td-hm_efficientnet-lite0_p1p2-refine-192x192").more_is_better is False
    )
    assert every_config.epochs_of("smoke/rtmpose_m_ap10k") == 17


def test_a_config_that_does_not_beat_its_control_says_so(benchmarks):
    import every_config

    def row(pck: float) -> str:
        result = dict(epochs=3, minutes=1.0, control=0.24, metrics={"keypoint/PCK@0.1": pck})
        return every_config.format_row("rtmpose_m_ap10k", result)

    assert row(0.4).endswith("| 0.24 | yes |")
    assert row(0.3).endswith("| 0.24 | **no** |")  # better, but not clearly
    radiograph = dict(epochs=3, minutes=1.0, control=39.4, metrics={"landmark/error_px": 50.0})
    assert every_config.format_row("td-hm_efficientnet-lite0_p1p2-512x512", radiograph).endswith(
        "**no** |"
    )


def test_controls_are_those_of_the_labels_alone(benchmarks, tmp_path):
    import every_config

    def annotation(x: float, width: float = 100.0) -> dict:
        points = dict(keypoints=[x, 50.0, 2], bbox=[0.0, 0.0, width, width])
        return dict(points, image_id=1, category_id=1)

    train, val = [annotation(50.0), annotation(70.0)], [annotation(60.0), annotation(90.0)]
    assert every_config.mean_pose_pck(train, val) == 0.5  # at 60: 0 and 30 px of 100 off
    records = {name: dict(points=[[0, 0]] * count) for name, count in dict(a=2, b=4, c=8).items()}
    (tmp_path / "annotation_FSC147_384.json").write_text(json.dumps(records))
    splits = dict(train=["a", "b"], val=["c", "a"])
    (tmp_path / "Train_Test_Val_FSC_147.json").write_text(json.dumps(splits))
    assert every_config.mean_count_mae(tmp_path, max_points=64) == (5 + 1) / 2
    assert every_config.mean_count_mae(tmp_path, max_points=6) == 1


@pytest.mark.parametrize("number", range(4))
def test_a_drawn_ruler_has_the_scale_that_is_said(benchmarks, number):
    import cv2
    from ruler_refusal import two_marks, with_ruler

    gray, marks = np.full((1000, 800), 40, np.uint8), np.array([[600.0, 500.0], [600.0, 414.0]])
    rng = np.random.default_rng(number)
    drawn, mm_per_px = with_ruler(rng, gray, marks, two_marks, ruler_mm=20.6)
    ground = cv2.absdiff(drawn[..., 0], gray) > 15
    count, _, _, centres = cv2.connectedComponentsWithStats(ground.astype(np.uint8))
    assert count == 3  # and the ground
    apart_mm = np.hypot(*(centres[2] - centres[1])) * mm_per_px
    assert min(abs(apart_mm / length - 1) for length in (10, 30, 40, 50)) < 0.01


def test_an_erased_ruler_is_gone_and_the_rest_is_not_touched(benchmarks):
    from ruler_refusal import erased

    gray, marks = np.full((1000, 800), 40, np.uint8), np.array([[600.0, 500.0], [600.0, 414.0]])
    gray[410:505, 595:606] = 200
    gray[50:900, 100:300] = 120
    for seed in range(6):
        left = erased(np.random.default_rng(seed), gray, marks)
        assert left[:, 320:].max() < 60
        assert (left[:, :320] == gray[:, :320]).all()


LEG = dict(swap=[1, 0, 3, 2], links=[(0, 2), (1, 3)])
"""Left and right knee, left and right hoof."""


def legs(*heights: dict[tuple[int, int], float]) -> np.ndarray:
    """(1, K, 12, 12) maps of single cells, (row, column) to height."""
    maps = np.zeros((1, len(heights), 12, 12))
    for index, each in enumerate(heights):
        for cell, height in each.items():
            maps[0, index][cell] = height
    return maps


def test_limbs_are_the_chains_that_both_sides_have(benchmarks):
    from inversions import chains_of

    assert chains_of(LEG["links"], LEG["swap"]) == [[0, 2]]
    assert chains_of([(0, 2), (3, 1), (0, 4)], [*LEG["swap"], 4]) == [[0, 2]]
    assert chains_of([(0, 2)], LEG["swap"]) == [[0], [2]]
    swap = [1, 0, 3, 2, 5, 4]
    assert chains_of([(2, 0), (3, 1), (4, 0), (5, 1)], swap) == [[2, 0, 4]]


def test_a_limb_is_read_as_one_where_its_bones_are_known(benchmarks):
    """The hooves are undecided; the knees, which are not, and the bones decide."""
    from inversions import Maps, bone_statistics, limbs

    near, far = (9, 2), (9, 9)
    maps = legs({(3, 2): 0.9}, {(3, 9): 0.9}, {near: 0.5, far: 0.52}, {near: 0.52, far: 0.5})
    poses = np.array([[[x, 3], [x + 7, 3], [x, 9], [x + 7, 9]] for x in (0.0, 1.0, 2.0)])
    poses += np.random.default_rng(0).normal(0, 0.3, poses.shape)
    bones = bone_statistics(poses, np.full((3, 4), 2), np.full(3, 12.0), LEG["swap"], [[0, 2]])
    given = Maps(maps, maps, LEG["swap"], 1.0, np.array([1 / 12]), [[0, 2]], bones)
    hooves = {
        weight: [divmod(int(each.argmax()), 12) for each in limbs(given, weight)[0, 2:]]
        for weight in (0.0, 1.0)
    }
    assert hooves == {0.0: [far, near], 1.0: [near, far]}


def test_the_surer_pass_is_taken_where_both_contradict(benchmarks):
    from inversions import Maps, surer_pass

    plain = legs({(3, 2): 0.9}, {(3, 9): 0.8}, {(9, 2): 0.4}, {(9, 9): 0.9})
    mirrored = legs({(3, 2): 0.6}, {(3, 9): 0.6}, {(9, 9): 0.8}, {(9, 2): 0.6})
    maps = Maps(plain, mirrored, LEG["swap"], 1.0, np.array([1 / 12]))
    chosen = surer_pass(maps)
    np.testing.assert_array_equal(chosen[0, :2], maps.average[0, :2])  # of one mind
    np.testing.assert_array_equal(chosen[0, 2:], mirrored[0, 2:])


def test_halves_hold_whole_groups(benchmarks):
    from inversions import half_of

    groups = [f"horse{i // 3}" for i in range(30)]
    half = half_of(groups)
    assert half.sum() == 15
    assert all(len({*half[i : i + 3]}) == 1 for i in range(0, 30, 3))


def test_a_swap_in_a_single_frame_is_undone_and_a_crossing_is_not(benchmarks):
    from inversions_video import follow_pairs, plant

    time = np.arange(40.0)
    left = np.stack([50 + 30 * np.sin(time / 4), np.full(40, 90.0)], axis=1)
    right = np.stack([50 - 30 * np.sin(time / 4), np.full(40, 92.0)], axis=1)  # legs that cross
    gt = np.stack([left, right], axis=1)[:, None]
    side_px = np.full(40, 200.0)
    np.testing.assert_array_equal(follow_pairs(gt, side_px, 1.0), gt)
    swapped = gt.copy()
    swapped[[7, 20, 33]] = gt[[7, 20, 33], :, ::-1]  # far apart
    np.testing.assert_array_equal(follow_pairs(swapped, side_px, 1.0), gt)
    planted = plant(gt, 0.2, 5, np.random.default_rng(0))
    changed = (planted != gt).any(axis=(1, 2, 3))
    assert 0 < changed.mean() < 0.6


def test_inference_is_compared_with_parts_that_are_mmposes_own(benchmarks, tmp_path):
    import inference

    from equikpt.core.pipelines import fill_codec

    args = inference.parse_args(["--out", str(tmp_path)])
    for row in inference.TOP_DOWN:
        cfg = inference.config_of(args, inference.ROWS[row])
        assert cfg.model.test_cfg.flip_test is False
        dataset = cfg.test_dataloader.dataset
        found = (
            inference.stock(dict(cfg.model)),
            inference.stock(
                [dict(step) for step in fill_codec(dataset.pipeline, dataset.get("codec"))]
            ),
        )
        assert "visibility" not in found[0]
        types = set(re.findall(r"'type': '(\w+)'", str(found)))
        assert {"TopdownPoseEstimator", "LoadImage", "TopdownAffine", "PackPoseInputs"} <= types
        assert not {name for name in types if name in inference.STOCK}


def test_columns_take_turns_and_are_compared_round_by_round(benchmarks):
    import inference

    order = []
    calls = {name: lambda name=name: order.append(name) for name in ("slow", "fast")}
    times = inference.interleave(calls, rounds=2, repeats=3)
    assert order == ["slow"] * 3 + ["fast"] * 3 + ["slow"] * 3 + ["fast"] * 3
    assert {name: len(each) for name, each in times.items()} == dict(slow=2, fast=2)
    base = dict(row="hrnet", batch=8, network_s=None, px=None)
    records = [
        dict(base, column="mmpose", times_s=[8.0, 4.0, 16.0]),
        dict(base, column="int8", times_s=[2.0, 2.0, 2.0], network_s=[1.0], px=[0.5, 2.0]),
    ]
    assert inference.table(records).splitlines()[2:] == [
        "| hrnet | 8 | mmpose | 1.0 |  | 1.00 |  |",
        "| hrnet | 8 | int8 | 4.0 | 8.0 | 4.00 | 0.500, 2.000 |",
    ]


def test_distances_leave_out_what_is_not_given(benchmarks):
    import inference

    gt = np.zeros((1, 3, 2))
    found = np.array([[[3, 4], [0, 0], [np.nan, 0]]])
    assert inference.distance(found, gt) == [2.5, 5.0]
    assert inference.distance(found[:, :2], gt) is None
    assert inference.distance(None, gt) is None
