"""RTMPose-m learns sixteen real images by heart, from random weights; at a rate of 0 nothing."""

import json

import pytest

from tests.conftest import REPO
from tests.integration.conftest import logged_rows

CONFIG = """
_base_ = "{base}"
pipeline = [
    *_base_.val_geometry,
    dict(type="TopdownAffine", input_size=(256, 256)),
    dict(type="GenerateTarget", encoder=_base_.codec, use_dataset_keypoint_weights=True),
    dict(type="PackPoseInputs"),
]
sixteen = dict(data_root="{data}/", ann_file="sixteen.json", data_prefix=dict(img="images/train/"))
# an epoch is one step here, and workers that start for each step cost more than they load
train_dataloader = dict(num_workers=0, dataset=dict(pipeline=pipeline, **sixteen))
val_dataloader = dict(dataset=sixteen)
# what was learnt by heart was never seen mirrored: the mean with mirrored copies gives AP 0.33
model = dict(test_cfg=dict(flip_test=False))
test_dataloader = dict(dataset=sixteen)
# the schedule of 300 epochs, for {epochs}; a step is an epoch
train_cfg = dict(max_epochs={epochs}, val_interval={epochs})
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, by_epoch=False, begin=0, end=20),
    dict(
        type="CosineAnnealingLR",
        eta_min_ratio=0.05,
        begin={epochs} // 2,
        end={epochs},
        T_max={epochs} // 2,
        by_epoch=True,
    ),
]
default_hooks = dict(checkpoint=dict(interval={epochs}))
"""


@pytest.fixture(scope="module")
def sixteen(run_tool, real_data, tmp_path_factory):
    """The public horses as horse26 data, with an annotation file of sixteen images."""
    data = tmp_path_factory.mktemp("horses") / "data"
    done = run_tool(
        "convert_dataset.py",
        *("--from", "yolo-pose", "--input", real_data / "horses16", "--output", data),
        *("--mapping", "horses16"),
    )
    assert done.returncode == 0, done.stderr
    coco = json.loads((data / "annotations/train.json").read_text())
    by_image = {a["image_id"]: a for a in coco["annotations"]}
    one_horse = [
        image
        for image in coco["images"]
        if sum(a["image_id"] == image["id"] for a in coco["annotations"]) == 1
        and by_image[image["id"]]["num_keypoints"] >= 8
    ][:16]
    chosen = {image["id"] for image in one_horse}
    coco["images"] = one_horse
    coco["annotations"] = [a for a in coco["annotations"] if a["image_id"] in chosen]
    (data / "sixteen.json").write_text(json.dumps(coco))
    return data


def average_precision(run_tool, data, tmp_path, epochs: int, *options) -> float:
    config = tmp_path / "overfit.py"
    base = REPO / "configs/rtmpose_m_ap10k.py"
    config.write_text(CONFIG.format(base=base, data=data, epochs=epochs))
    done = run_tool(
        "train.py",
        *(config, "--work-dir", tmp_path / "work", "--amp", "--from-scratch"),
        *(["--cfg-options", *options] if options else []),
        timeout=1500,
    )
    assert done.returncode == 0, done.stderr
    return logged_rows(tmp_path / "work", "coco/AP")[-1]["coco/AP"]


@pytest.mark.slow
def test_learns_sixteen_images_by_heart(run_tool, sixteen, tmp_path):
    assert average_precision(run_tool, sixteen, tmp_path, 120) >= 0.90


@pytest.mark.slow
def test_learns_nothing_without_a_learning_rate(run_tool, sixteen, tmp_path):
    """The control. The other hyperparameters, the images and the number of steps are the same,
    but for 20 of them instead of 120: with a rate of 0 they all leave the weights as they are.
    """
    options = ("optim_wrapper.optimizer.lr=0", "optim_wrapper.optimizer.weight_decay=0")
    assert average_precision(run_tool, sixteen, tmp_path, 20, *options) < 0.05
