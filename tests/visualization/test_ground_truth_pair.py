import cv2
import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures import PoseDataSample

from equikpt.core.image import read_image
from equikpt.datasets import P1P2Dataset, PointSequenceDataset
from equikpt.metainfo import coco17, horse26, infer_keypoint_set, p1p2
from equikpt.visualization.ground_truth_pair import CELL_PX, draw_gt_pred_pair, true_poses

GRAY = 128
BOX = [70.0, 10.0, 170.0, 110.0]
PEOPLE = parse_pose_metainfo(coco17.METAINFO)
HORSES = parse_pose_metainfo(horse26.METAINFO)
MARKS = parse_pose_metainfo(p1p2.METAINFO)
POINTS = PointSequenceDataset._load_metainfo()


def pair_of(sample, metainfo=PEOPLE, labelled=None) -> np.ndarray:
    return draw_gt_pred_pair(read_image(sample.img_path), sample, metainfo, labelled, 0.3)


def sample(
    folder, annotations, predicted: InstanceData, box=None, size=(120, 240)
) -> PoseDataSample:
    """A gray image of height and width ``size`` with its annotations and predictions."""
    path = folder / "image.png"
    cv2.imwrite(str(path), np.full((*size, 3), GRAY, np.uint8))
    made = PoseDataSample(metainfo=dict(img_path=str(path), raw_ann_info=annotations))
    made.gt_instances = InstanceData() if box is None else InstanceData(bboxes=np.array([box]))
    made.pred_instances = predicted
    return made


def person(*seen: tuple[float, float]) -> dict:
    """An annotation whose first keypoints lie at ``seen``."""
    rows = [(x, y, 2) for x, y in seen] + [(0, 0, 0)] * (17 - len(seen))
    return dict(keypoints=np.array(rows, float).ravel().tolist())


def halves(pair: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where ground truth and prediction are drawn in, (H, W) bool each."""
    changed = (pair != GRAY).any(axis=2)
    middle = pair.shape[1] // 2
    return changed[:, :middle], changed[:, middle:]


def drawn_at(half: np.ndarray) -> list[bool]:
    """Tell at which of ``COORDS`` something is drawn."""
    return [bool(half[int(y), int(x)]) for x, y in COORDS]


COORDS = [(20.0, 20.0), (100.0, 60.0), (200.0, 100.0)]


def peaks(coords, scores, labels) -> InstanceData:
    """Single points of a whole image, as ``MultiPeakHead`` gives them."""
    return InstanceData(
        keypoints=np.array(coords, np.float32).reshape(-1, 1, 2),
        keypoint_scores=np.array(scores, np.float32).reshape(-1, 1),
        labels=np.array(labels, int),
    )


def test_a_whole_image_shows_everyone_and_other_numbers_of_peaks(tmp_path):
    annotations = [person(COORDS[0]), person(COORDS[1]), person()]
    found = peaks([COORDS[2], COORDS[1], COORDS[0]], [0.9, 0.5, 0.2], [0, 16, 0])
    pair = pair_of(sample(tmp_path, annotations, found))
    assert pair.shape == (CELL_PX // 2, 2 * CELL_PX, 3)  # all of it, in its own proportions
    gt, prediction = halves(pair)
    assert drawn_at(gt) == [True, True, False]
    assert drawn_at(prediction) == [False, True, True]


def test_instances_of_a_whole_image_are_left_out_by_their_mean_score(tmp_path):
    keypoints = np.stack([np.tile(point, (17, 1)) for point in COORDS])
    scores = np.full((3, 17), [[0.9], [0.2], [0.9]])
    found = InstanceData(keypoints=keypoints, keypoint_scores=scores)
    pair = pair_of(sample(tmp_path, [person()], found))
    _, prediction = halves(pair)
    assert drawn_at(prediction) == [True, False, True]


@pytest.mark.parametrize("annotations", [[], None], ids=["nobody", "no annotation"])
def test_nothing_found_where_nothing_is(tmp_path, annotations):
    pair = pair_of(sample(tmp_path, annotations, peaks([], [], [])))
    assert pair.shape == (CELL_PX // 2, 2 * CELL_PX, 3)
    assert (pair == GRAY).all()


def horse(spread: float) -> tuple[dict, InstanceData]:
    """Ground truth and prediction, 8 px to the right of it, of points around (120, 60)."""
    around = np.linspace(-spread / 2, spread / 2, 26)
    gt = np.column_stack([120 + around, np.full(26, 60.0), np.full(26, 2)])
    found = InstanceData(keypoints=gt[None, :, :2] + (8, 0), keypoint_scores=np.full((1, 26), 0.9))
    return dict(keypoints=gt.ravel().tolist()), found


@pytest.mark.parametrize(
    ("spread", "scale"),
    [
        (60.0, CELL_PX / 125),  # the box, a quarter larger
        (8.0, CELL_PX / 24),  # 16 px in all, and half as much again
        (0.0, CELL_PX / 20),  # a fifth of the box, at least
    ],
    ids=["box", "close up", "closest"],
)
def test_what_lies_close_together_is_shown_close_up(tmp_path, spread, scale):
    gt, found = horse(spread)
    pair = pair_of(sample(tmp_path, gt, found, BOX), HORSES)
    left, right = halves(pair)
    ends = (np.flatnonzero(half.any(axis=0)) for half in (left, right))
    middles = [(columns[0] + columns[-1]) / 2 for columns in ends]
    assert middles[1] - middles[0] == pytest.approx(8 * scale, abs=2)


def test_a_lone_point_is_shown_in_its_box(tmp_path):
    found = InstanceData(
        keypoints=np.array([[[128.0, 60.0]]]), keypoint_scores=np.full((1, 1), 0.9)
    )
    dot = infer_keypoint_set("dot", ["dot"], np.zeros((0, 1, 3))).metainfo
    drawn = sample(tmp_path, dict(keypoints=[120, 60, 2]), found, BOX)
    left, right = halves(pair_of(drawn, parse_pose_metainfo(dot)))
    ends = (np.flatnonzero(half.any(axis=0)) for half in (left, right))
    middles = [(columns[0] + columns[-1]) / 2 for columns in ends]
    assert middles[1] - middles[0] == pytest.approx(8 * CELL_PX / 125, abs=2)


def test_a_box_may_reach_over_the_border(tmp_path):
    gt, found = horse(60.0)
    box = [-50.0, -300.0, 10.0, -200.0]  # a corner of the image and what lies above it
    pair = pair_of(sample(tmp_path, gt, found, box), HORSES)
    assert max(pair.shape[0], pair.shape[1] // 2) == CELL_PX


def test_points_of_unlabelled_kinds_are_not_drawn(tmp_path):
    gt, found = horse(60.0)
    pair = pair_of(sample(tmp_path, gt, found, BOX), HORSES, np.zeros(26, bool))
    left, right = halves(pair)
    assert left.any()
    assert not right.any()


def test_keypoints_of_another_scheme_are_no_gt(tmp_path):
    _, found = horse(60.0)
    made = sample(tmp_path, person(*COORDS), found, BOX)
    assert true_poses(made, HORSES) == []
    left, right = halves(pair_of(made, HORSES))
    assert not left.any()
    assert right.any()


def test_a_deep_radiograph_is_not_black(tmp_path):
    """16 bits of which a scanner used 12: OpenCV's usual flags would leave next to nothing."""
    radiograph = np.random.default_rng(0).integers(0, 4096, (200, 200)).astype(np.uint16)
    marks = dict(keypoints=[100, 150, 2, 100, 50, 2])
    found = InstanceData(
        keypoints=np.array([[[100.0, 150.0], [100.0, 50.0]]]), keypoint_scores=np.ones((1, 2))
    )
    made = sample(tmp_path, marks, found, [0.0, 0.0, 200.0, 200.0])
    cv2.imwrite(made.img_path, radiograph)
    image = P1P2Dataset.read_image(made.img_path)
    median = np.median(draw_gt_pred_pair(image, made, MARKS, None, 0.3))
    assert median == pytest.approx(128, abs=15)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_any_number_of_unnamed_points(tmp_path, count):
    rng = np.random.default_rng(0)
    gt = np.column_stack([rng.uniform(20, 100, (3, 2)), np.full(3, 2)])
    found = InstanceData(
        keypoints=rng.uniform(20, 100, (1, count, 2)), keypoint_scores=np.ones((1, count))
    )
    made = sample(tmp_path, dict(keypoints=gt.ravel()), found, [0.0, 0.0, 239.0, 119.0])
    left, right = halves(pair_of(made, POINTS))
    assert left.any()
    assert right.any() == bool(count)
