import json

import pytest

from equikpt.report.run.facts import course, data_set, environment, settings
from equikpt.report.run.run_folder import read_run
from tests.report.written_runs import change_record, config, write_start


def test_settings_are_those_of_the_config(tmp_path):
    cfg = config(
        max_epochs=7,
        model=dict(
            type="TopdownPoseEstimator",
            backbone=dict(type="HRNet", init_cfg=dict(checkpoint="/data/hrnet-00eb.pth")),
            head=dict(
                type="HeatmapHead",
                decoder=dict(input_size=(192, 256)),
                loss=dict(type="KeypointMSELoss"),
            ),
        ),
        param_scheduler=[dict(type="LinearLR"), dict(type="CosineAnnealingLR")],
        custom_hooks=[dict(type="EMAHook", ema_type="ExpMomentumEMA")],
    )
    write_start(tmp_path, [1.0, 0.9], cfg=cfg)
    cfg.dump(tmp_path / "my_config.py")
    assert dict(settings(read_run(tmp_path))) == {
        "Config": "my_config.py",
        "Model": "TopdownPoseEstimator, HRNet, HeatmapHead",
        "Input": "192 × 256 px",
        "Starts from": "hrnet-00eb.pth",
        "Loss": "KeypointMSELoss",
        "Optimizer": "AdamW, rate 0.004, weight decay 0.05",
        "Rate schedule": "LinearLR, then CosineAnnealingLR",
        "Batch": "4 images",
        "Planned length": "7 epochs",
        "Precision": "float32",
        "Averaged weights": "ExpMomentumEMA",
    }


def test_the_course_of_a_run_that_was_resumed(tmp_path):
    write_start(tmp_path, [1.0] * 4, begin="20260101_100000")
    write_start(tmp_path, [0.9] * 2, begin="20260102_120000", epochs_before=2)
    found = dict(course(read_run(tmp_path)))
    assert found["Begin"] == "2026-01-01 10:00"
    assert found["Starts"] == "2, 1 of them resumed"
    assert found["Duration"] == "60 s"  # 40 and 20 steps of a second; the pause is none
    assert found["Last epoch"] == "3"
    assert found["Time a step"] == "1.00 s (median)"


def test_machine_and_versions_are_those_that_were_recorded(tmp_path):
    write_start(tmp_path / "bare", [1.0, 0.9], record=False)
    assert environment(read_run(tmp_path / "bare")) == []
    write_start(tmp_path, [1.0, 0.9])
    machine = {"Processor": "NVIDIA H100 (GPU 0,1)", "Cores": "8", "Processes": "2 by pytorch"}
    change_record(tmp_path, seed=17, environment=machine)
    assert dict(environment(read_run(tmp_path))) == {"Seed": "17", **machine}


COCO = dict(
    images=[{}, {}],
    annotations=[
        dict(keypoints=[1, 1, 2, 2, 2, 1, 3, 3, 2]),
        dict(keypoints=[1, 1, 0, 2, 2, 0]),
        dict(bbox=[0, 0, 1, 1]),
    ],
)
FILES = [
    # of the annotation file, options of the data set, and what is counted
    pytest.param(COCO, {}, dict(images=2, instances=1, points=3, hidden=1), id="COCO"),
    pytest.param([{}, {}, {}], {}, dict(images=3), id="Label Studio"),
    pytest.param(
        {"a.png": dict(points=[[1, 2], [3, 4]]), "b.png": dict(points=[[5, 6]])},
        dict(split_file="splits.json", split="val"),
        dict(images=1, points=2),
        id="FSC-147",
    ),
    pytest.param("no JSON", {}, {}, id="damaged"),
    pytest.param(None, {}, {}, id="missing"),
]


@pytest.mark.parametrize(("content", "options", "counted"), FILES)
def test_data_are_counted(tmp_path, content, options, counted):
    if content is not None:
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "labels.json").write_text(text)
    (tmp_path / "splits.json").write_text(json.dumps(dict(val=["a.png"], train=["b.png"])))
    dataset = dict(data_root=str(tmp_path), ann_file="labels.json", **options)
    write_start(tmp_path, [1.0, 0.9], cfg=config(val_dataloader=dict(dataset=dataset)))
    name = f"{tmp_path.name}/labels.json" + (" (val)" if options else "")
    assert data_set(read_run(tmp_path)) == [dict(split="Validation", file=name, **counted)]
