import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.registry import MODELS

from equikpt.apis.box_predictor import BoxPredictor
from equikpt.apis.ruler import RulerFinder, calibrate, format_scale, judge, with_interval
from equikpt.apis.ruler_look import Plausible, learn_look, plausible_from
from equikpt.cli.launch import load_config
from equikpt.core.radiograph import read_radiograph
from tests import drawn_rulers

RADIOGRAPH = np.zeros((500, 300, 3), np.uint8)


def instance(keypoints, scores) -> InstanceData:
    return InstanceData(keypoints=np.array([keypoints], float), keypoint_scores=np.array([scores]))


def coarse(radiograph, boxes):
    assert [list(box) for box in boxes] == [[0, 0, 299, 499]]
    return [instance([[100, 400], [110, 300]], [0.9, 0.5])]


def test_the_coarse_stage_sees_the_whole_radiograph():
    marks, scores = RulerFinder(coarse)(RADIOGRAPH)
    assert marks.tolist() == [[100, 400], [110, 300]]
    assert scores.tolist() == [0.9, 0.5]


def test_the_fine_stage_sees_each_mark_and_answers_for_it_alone():
    def fine(radiograph, boxes):
        assert [list(box) for box in boxes] == [[75, 375, 125, 425], [85, 275, 135, 325]]
        return [
            instance([[101, 402], [-1, -1]], [0.7, 0.0]),
            instance([[-1, -1], [111, 303]], [0.0, 0.8]),
        ]

    marks, scores = RulerFinder(coarse, fine, crop_fraction=0.1)(RADIOGRAPH)
    assert marks.tolist() == [[101, 402], [111, 303]]
    assert scores.tolist() == [0.7, 0.5]


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """Config and checkpoint of both stages, with weights as they are drawn."""
    init_default_scope("mmpose")
    folder, found = tmp_path_factory.mktemp("stages"), []
    for name in ("smoke/td-hm_hrnet-w18_p1p2-512x512", "smoke/td-hm_hrnet-w18_p1p2-refine-192x192"):
        cfg = load_config(name)
        torch.manual_seed(0)
        path = folder / f"{cfg.model.head.decoder.input_size[0]}.pth"
        torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), path)
        found += [cfg, path]
    return found


def test_both_stages_see_what_they_should(stages, sample_radiographs):
    """Untrained networks point anywhere, but only inside of what they are shown."""
    radiograph = read_radiograph(sample_radiographs / "images" / "val_0.png")
    height, width = radiograph.shape[:2]
    first, _ = RulerFinder.load(*stages[:2])(radiograph)
    longest = max(height, width)
    middle = np.array([width, height]) / 2
    assert (np.abs(first - middle) <= longest / 2 + 1).all()
    finder = RulerFinder.load(*stages)
    assert finder.crop_fraction == stages[2].crop_fraction
    refined, scores = finder(radiograph)
    assert (np.abs(refined - first) <= finder.crop_fraction * height / 2 + 1).all()
    assert not np.allclose(refined, first)
    assert ((scores > 0) & (scores <= 1)).all()


def test_checkpoints_and_configs_of_another_model_are_refused(stages):
    other = load_config("smoke/td-hm_efficientnet-lite0_p1p2-512x512")
    with pytest.raises(ValueError, match=r"found \d+ (missing|misshapen)"):
        BoxPredictor(other, stages[1])
    with pytest.raises(FileNotFoundError, match="gone.pth"):
        BoxPredictor(stages[0], "gone.pth")
    with pytest.raises(ValueError, match="RulerMarkDataset"):
        RulerFinder.load(stages[0], stages[1], stages[0], stages[1])


UPRIGHT = np.array([[100.0, 200.0], [100.0, 160.0]])  # 40 px
LIMITS = Plausible(distance=(0.05, 0.2), angle_deg=(60, 120), score=0.5)


def judged(marks=UPRIGHT, scores=(0.9, 0.8), spacing_mm=None, height_px=400):
    return judge("radiograph.png", marks, np.array(scores), height_px, 10.0, LIMITS, spacing_mm)


def test_the_scale_is_the_rulers_length_over_the_distance():
    scale = judged()
    assert scale.mm_per_px == pytest.approx(0.25)
    assert (scale.confidence, scale.refused) == (0.8, "")
    assert (scale.distance_px, scale.angle_deg) == (pytest.approx(40), pytest.approx(90))
    assert (scale.p1_x, scale.p1_y, scale.p2_x, scale.p2_y) == (100, 200, 100, 160)
    assert judged(spacing_mm=0.23).mm_per_px == scale.mm_per_px  # a header that nearly agrees


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (dict(scores=(0.9, 0.4)), "score 0.40, below 0.5"),
        (dict(height_px=1000), "marks 40.0 px apart, expected 50 to 200"),
        (dict(height_px=150), "marks 40.0 px apart, expected 8 to 30"),
        (dict(marks=UPRIGHT[::-1]), "ruler at -90°, expected 60° to 120°"),
        (dict(marks=UPRIGHT + [[0, 0], [30, 0]]), "ruler at 53°"),
        (dict(spacing_mm=0.1), "the file's header says 0.1000"),
    ],
)
def test_what_is_implausible_is_refused_with_the_reason(changes, reason):
    scale = judged(**changes)
    assert scale.mm_per_px is None
    assert reason in scale.refused


def test_a_labelled_set_says_what_is_plausible(sample_radiographs):
    labels = sample_radiographs / "annotations_p1_p2_train.json"
    limits = plausible_from(labels, sample_radiographs / "images", score=0.4)
    assert limits.distance == (pytest.approx(0.16 * 0.75), pytest.approx(0.16 * 1.25))
    assert limits.angle_deg == (pytest.approx(78), pytest.approx(102))
    assert limits.score == 0.4
    assert limits.look is not None


def test_a_ruler_of_another_look_is_refused_on_the_radiograph(sample_radiographs):
    labels = sample_radiographs / "annotations_p1_p2_train.json"
    limits = plausible_from(labels, sample_radiographs / "images", score=0.3)
    marks = np.array([[150.0, 100.0], [150.0, 60.0]])

    def judged_on(gray):
        return judge("a.png", marks, np.ones(2), len(gray), 10.0, limits, gray=gray)

    known = np.full((250, 200), 60, np.uint8)
    cv2.line(known, (150, 60), (150, 100), 230, 1)
    for tick in range(9):
        cv2.line(known, (150, 60 + 5 * tick), (158, 60 + 5 * tick), 230, 1)
    assert judged_on(known).refused == ""
    finer = np.full((250, 200), 60, np.uint8)
    cv2.line(finer, (150, 20), (150, 150), 230, 1)
    for tick in range(40):
        cv2.line(finer, (150, 20 + 3 * tick), (158, 20 + 3 * tick), 230, 1)
    assert judged_on(finer).mm_per_px is None
    assert "ticks every 3.0 px, expected 4.6 to 5.4" in judged_on(finer).refused


def test_a_scale_that_is_not_to_be_refused_carries_its_doubt():
    given = ("a.png", UPRIGHT, np.array([0.9, 0.4]), 400, 10.0, LIMITS)
    scale = judge(*given, refuse=False)
    assert scale.mm_per_px == pytest.approx(0.25)
    assert (scale.refused, scale.doubt) == ("", "score 0.40, below 0.5")
    assert format_scale(scale).endswith("confidence 0.40, in doubt: score 0.40, below 0.5")
    assert judge(*given).doubt == ""
    one_place = judge("a.png", UPRIGHT[[0, 0]], np.ones(2), 400, 10.0, LIMITS, refuse=False)
    assert one_place.mm_per_px is None
    sure = judge(*given[:2], np.ones(2), *given[3:], refuse=False)
    assert (sure.doubt, format_scale(sure).count("doubt")) == ("", 0)


def test_calibrate_looks_at_the_ruler_unless_told_not_to_refuse(tmp_path):
    cv2.imwrite(str(tmp_path / "bar.png"), drawn_rulers.draw_comb(teeth=0))
    learnt = [(drawn_rulers.draw_comb(seed=number), drawn_rulers.UPRIGHT) for number in range(8)]
    limits = replace(LIMITS, distance=(0.01, 0.5), look=learn_look(learnt))
    finder = RulerFinder(lambda radiograph, boxes: [instance(drawn_rulers.UPRIGHT, np.ones(2))])
    given = ([str(tmp_path / "bar.png")], finder, 10.0)
    (refused,), (doubtful,) = calibrate(*given, limits), calibrate(*given, limits, refuse=False)
    assert refused.mm_per_px is None
    assert "unlike those of the labels" in refused.refused
    assert doubtful.mm_per_px == pytest.approx(0.1)
    assert doubtful.doubt == refused.refused


def test_a_radiograph_that_cannot_be_read_ends_no_batch(tmp_path):
    good, broken = tmp_path / "good.png", tmp_path / "broken.png"
    cv2.imwrite(str(good), np.zeros((400, 300), np.uint8))
    broken.write_text("no image")
    radiographs = [str(path) for path in (broken, tmp_path / "absent.dcm", good)]
    finder = RulerFinder(lambda radiograph, boxes: [instance(UPRIGHT, np.ones(2))])
    found = calibrate(radiographs, finder, 10.0, LIMITS)
    lost, absent, scale = found
    assert (lost.is_read, absent.is_read, scale.is_read) == (False, False, True)
    assert "none of JPEG" in lost.refused
    assert math.isnan(lost.p1_x)
    assert scale.mm_per_px == pytest.approx(0.25)


class Wary:
    """Finds an upright ruler on radiographs that are unlike those of its training."""

    def __call__(self, radiograph, boxes):
        found = instance(UPRIGHT, np.ones(2))
        found.novelty = np.array([2.5])
        return [found]

    def refusal(self, found):
        return f"unlike the training images (score {found.novelty[0]})"


@pytest.mark.parametrize("refuse", [True, False])
def test_a_radiograph_unlike_those_of_the_training_has_no_scale(tmp_path, refuse):
    path = tmp_path / "horse.png"
    cv2.imwrite(str(path), np.zeros((400, 300), np.uint8))
    (scale,) = calibrate([str(path)], RulerFinder(Wary()), 10.0, LIMITS, refuse=refuse)
    assert scale.is_read
    if refuse:
        assert scale.mm_per_px is None
        assert scale.refused == "unlike the training images (score 2.5)"
        assert "refused, unlike the training" in format_scale(scale)
    else:
        assert (scale.mm_per_px, scale.refused) == (pytest.approx(0.25), "")


def test_the_interval_has_the_radii_of_both_marks():
    marks = np.array([[100.0, 300], [100, 200]])
    scale = judge("a.png", marks, np.ones(2), 500, 10.0, Plausible())
    assert "(" not in format_scale(scale)
    found = with_interval(scale, 10.0, np.array([3.0, 4.0]))
    assert (found.low_mm_per_px, found.high_mm_per_px) == (10 / 105, 10 / 95)
    assert "0.10000 mm/px (0.09524 to 0.10526)" in format_scale(found)
    endless = with_interval(scale, 10.0, np.array([80.0, 80.0]))
    assert endless.high_mm_per_px == np.inf
    assert "(" not in format_scale(endless)
    refused = judge("a.png", marks, np.zeros(2), 500, 10.0, Plausible())
    assert np.isnan(with_interval(refused, 10.0, np.ones(2)).low_mm_per_px)
