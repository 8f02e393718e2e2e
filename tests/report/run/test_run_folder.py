import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from equikpt.engine.run_record import RunRecordHook
from equikpt.report.run.run_folder import read_run
from tests.report.written_runs import change_record, config, write_start


class Counting(BaseModel):
    """Its loss is the number of the step, its metrics minus that and its square."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.register_buffer("steps", torch.zeros(1))

    def forward(self, inputs=None, data_samples=None, mode="tensor"):
        if mode != "loss":
            return [dict(score=-float(self.steps))]
        self.steps += 1
        return dict(loss=0 * self.weight.sum() + self.steps.sum())


class LastScore(BaseMetric):
    default_prefix = "toy"

    def process(self, data_batch, data_samples) -> None:
        self.results += [sample["score"] for sample in data_samples]

    def compute_metrics(self, results: list) -> dict:
        return dict(score=results[-1], loss=results[-1] ** 2)


def train(
    work_dir: Path, loop: dict, resume: bool = False, by_epoch: bool = True, window: int = 1
) -> None:
    """A real run of 4 steps an epoch, with a row each 2 steps."""
    hooks = dict(
        logger=dict(type="LoggerHook", interval=2, log_metric_by_epoch=by_epoch),
        checkpoint=dict(type="CheckpointHook", interval=1, by_epoch=by_epoch),
    )
    data = [dict(inputs=torch.zeros(1))] * 4
    processor = dict(type="LogProcessor", window_size=window, by_epoch=by_epoch)
    cfg = Config(dict(train_cfg=loop, default_hooks=hooks, log_processor=processor))
    runner = Runner(
        model=Counting(),
        work_dir=str(work_dir),
        train_dataloader=DataLoader(data),
        val_dataloader=DataLoader(data),
        train_cfg=loop,
        val_cfg=dict(),
        val_evaluator=[LastScore()],
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        default_hooks=hooks,
        log_processor=processor,
        custom_hooks=[RunRecordHook()],
        visualizer=dict(type="Visualizer", vis_backends=[dict(type="LocalVisBackend")]),
        experiment_name=f"toy{len(list(work_dir.glob('*_*')))}",
        resume=resume,
        cfg=cfg,
    )
    runner.train()


def make_older(work_dir: Path) -> None:
    """Give the start that is there another name: a second one may begin in the same second."""
    (log,) = work_dir.glob("*/*.log")
    log.parent.rename(work_dir / "20200101_000000")
    change_record(work_dir, folder="20200101_000000")


def test_a_resumed_run_of_mmengine_is_one_course(tmp_path):
    train(tmp_path, dict(by_epoch=True, max_epochs=2))
    make_older(tmp_path)
    train(tmp_path, dict(by_epoch=True, max_epochs=3), resume=True)
    run = read_run(tmp_path)
    assert run.train["step"].tolist() == [2, 4, 6, 8, 10, 12]
    assert run.train["loss"].tolist() == run.train["step"].tolist()
    assert run.train["epoch"].tolist() == [1, 1, 2, 2, 3, 3]
    assert run.val[["epoch", "step", "toy/score"]].to_numpy().tolist() == [
        [1, 4, -4],
        [2, 8, -8],
        [3, 12, -12],
    ]
    assert run.sessions["resumed"].tolist() == [False, True]
    assert run.sessions["steps"].tolist() == [8, 4]
    assert run.steps_per_epoch == 4
    assert run.checkpoints.newest == tmp_path / "epoch_3.pth"
    assert run.config.train_cfg.max_epochs == 3
    assert [each.name for each in tmp_path.glob("*.json")] == ["run.json"]
    assert run.record.resumed_step == 8
    assert (run.record.max_epochs, run.record.max_steps) == (3, 12)
    assert (run.train["wall_s"].diff().dropna() > 0).all()
    assert run.val["wall_s"].is_monotonic_increasing


def test_a_run_of_mmengine_by_steps(tmp_path):
    loop = dict(by_epoch=False, max_iters=10, val_interval=5)
    train(tmp_path, loop, by_epoch=False)
    run = read_run(tmp_path)
    assert run.train["step"].tolist() == [2, 4, 6, 8, 10]
    assert run.train["epoch"].isna().all()
    assert run.steps_per_epoch is None
    assert run.val["step"].tolist() == [5, 10]
    assert run.val["epoch"].isna().all()
    assert run.record.step == 10
    assert [step for step, _, _ in run.record.validations] == [5, 10]


def test_validation_losses_are_those_that_mmengine_averaged(tmp_path):
    train(tmp_path, dict(by_epoch=True, max_epochs=5), window=3)
    make_older(tmp_path)
    train(tmp_path, dict(by_epoch=True, max_epochs=8), resume=True, window=3)
    logged = [
        json.loads(line)["toy/loss"]
        for path in sorted(tmp_path.glob("*/vis_data/scalars.json"))
        for line in path.read_text().splitlines()
        if "toy/loss" in line
    ]
    losses = read_run(tmp_path).val["toy/loss"].to_numpy()
    np.testing.assert_allclose(losses, np.arange(4.0, 36.0, 4.0) ** 2, rtol=1e-9)
    assert logged[-1] < 0.9 * losses[-1]  # it is a mean that lags


def test_rows_of_a_later_start_replace_those_from_its_first_step_on(tmp_path):
    write_start(tmp_path, [6.0, 5.0, 4.0, 3.0, 9.0], {1: dict(a=1.0), 2: dict(a=2.0)})
    write_start(tmp_path, [2.0, 1.0], {2: dict(a=8.0)}, "20260102_100000", epochs_before=1)
    run = read_run(tmp_path)
    assert run.train["step"].tolist() == [10, 20, 30, 40]
    assert run.train["loss"].tolist() == [6, 5, 2, 1]
    assert run.val["a"].tolist() == [1, 8]


def test_pauses_between_starts_are_no_running(tmp_path):
    write_start(tmp_path, [1.0, 1.0], {1: {}})  # 20 steps and a validation
    write_start(tmp_path, [1.0, 1.0], {2: {}}, "20260301_100000", epochs_before=1)
    run = read_run(tmp_path)
    assert run.train["wall_s"].tolist() == [10, 20, 35, 45]
    assert run.val["wall_s"].tolist() == [25, 50]


def test_a_start_that_does_not_resume_replaces_all_once_it_has_a_row(tmp_path):
    write_start(tmp_path, [6.0, 5.0, 4.0, 3.0], {1: dict(a=1.0), 2: dict(a=2.0)})
    write_start(tmp_path, [], begin="20260102_100000")
    assert len(read_run(tmp_path).train) == 4
    write_start(tmp_path, [7.0], begin="20260103_100000")
    run = read_run(tmp_path)
    assert run.train["loss"].tolist() == [7]
    assert run.train["wall_s"].tolist() == [10]
    assert run.val.empty
    assert run.sessions["resumed"].tolist() == [False] * 3


@pytest.mark.parametrize("kept", [1, 40, -1], ids=["one letter", "half", "all but the end of line"])
def test_a_half_written_last_line_is_left_out_and_others_are_counted(tmp_path, kept):
    losses = [6.0, 5.0, np.nan, np.inf, 4.0]
    scalars = write_start(tmp_path, losses) / "vis_data" / "scalars.json"
    first, *whole, last = scalars.read_text().splitlines(keepends=True)
    scalars.write_text(first[:20] + "\n12\n" + "".join(whole) + last[:kept])
    run = read_run(tmp_path)
    assert run.unreadable_rows == 2
    np.testing.assert_equal(run.train["loss"].to_numpy(), losses[1 : None if kept == -1 else -1])


def test_names_with_their_loop_and_single_scalars_of_hooks(tmp_path):
    scalars = write_start(tmp_path, []) / "vis_data" / "scalars.json"
    rows = [
        {"train/loss": 2.0, "train/time": 1.0, "epoch": 1, "iter": 10, "step": 10},
        {"some_hook": 1.0, "step": 10},
        {"val/coco/AP": 0.5, "val/time": 1.0, "step": 1},
    ]
    scalars.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = read_run(tmp_path)
    assert run.train["loss"].tolist() == [2]
    assert run.val["coco/AP"].tolist() == [0.5]
    assert "some_hook" not in {*run.train, *run.val}


def test_without_a_record_rows_tell_epochs_and_times(tmp_path):
    losses = [5.0, 4.0, 3.0, 2.0]
    write_start(tmp_path, losses, {1: {}, 2: {}}, record=False, step_s=2.0)
    write_start(tmp_path, [1.0, 0.0], {3: {}}, "20260102_100000", 2, record=False, step_s=2.0)
    run = read_run(tmp_path)
    assert run.steps_per_epoch == 20
    assert run.train["loss"].tolist() == [5, 4, 3, 2, 1, 0]
    assert run.train["wall_s"].tolist() == [20, 40, 60, 80, 100, 120]
    assert run.note
    assert run.val["step"].tolist() == [20, 40, 60]
    assert run.sessions["resumed"].tolist() == [False, True]


@pytest.mark.parametrize("content", ["", "{", '{"format": 9}', '{"starts": [{"folder": 1}]}'])
def test_a_record_that_is_damaged_is_none(tmp_path, content):
    write_start(tmp_path, [6.0, 5.0])
    assert read_run(tmp_path).note == ""
    (tmp_path / "run.json").write_text(content)
    run = read_run(tmp_path)
    assert run.record is None
    assert run.train["loss"].tolist() == [6, 5]
    assert "run.json" in run.note


def test_a_test_beside_the_training_is_no_start(tmp_path):
    write_start(tmp_path, [1.0], cfg=config(7))
    tested = write_start(tmp_path, [], begin="20260109_100000", cfg=config(9), record=False)
    (tested / "20260109_100000.json").write_text('{"coco/AP": 0.5}')
    run = read_run(tmp_path)
    assert len(run.sessions) == 1
    assert run.config.train_cfg.max_epochs == 7


def test_the_config_beside_the_starts_serves_where_none_was_dumped(tmp_path):
    write_start(tmp_path, [1.0])
    assert read_run(tmp_path).config is None
    assert (read_run(tmp_path).setting("model"), read_run(tmp_path).hook("EMAHook")) == (None, None)
    config(5, custom_hooks=[dict(type="EMAHook", momentum=0.1)]).dump(tmp_path / "mine.py")
    run = read_run(tmp_path)
    assert run.setting("train_cfg.max_epochs") == 5
    assert run.setting("train_cfg.max_epochs.more") is run.setting("nothing.here") is None
    assert run.hook("EMAHook") == dict(type="EMAHook", momentum=0.1)
    assert run.hook("Missing") is None


def test_checkpoints_are_those_that_are_there(tmp_path):
    write_start(tmp_path, [1.0])
    (tmp_path / "last_checkpoint").write_text("/elsewhere/run/epoch_2.pth\n")
    listed = [dict(file=name, score=1.0, epoch=1) for name in ("top_b.pth", "gone.pth")]
    (tmp_path / "top_checkpoints.json").write_text(json.dumps(listed))
    for name in ("best_a_epoch_1.pth", "top_b.pth"):
        torch.save({}, tmp_path / name)
    (tmp_path / "best_a_epoch_2.pth").write_bytes(b"PK\x03\x04")  # the disk was full
    found = read_run(tmp_path).checkpoints
    assert found.newest is None
    assert [path.name for path in (*found.best, *found.top)] == ["best_a_epoch_1.pth", "top_b.pth"]
    torch.save({}, tmp_path / "epoch_2.pth")
    assert read_run(tmp_path).checkpoints.newest == tmp_path / "epoch_2.pth"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            ["best_a_epoch_1.pth", "best_b_epoch_2.pth"],
            ["best_a_epoch_1.pth", "best_b_epoch_2.pth"],
        ),
        ([], ["best.pth"]),
    ],
    ids=["a link to the older of two keys", "a copy alone"],
)
def test_the_best_checkpoint_is_the_one_of_the_stable_name(tmp_path, files, expected):
    write_start(tmp_path, [1.0])
    for number, name in enumerate(files):
        torch.save({}, tmp_path / name)
        os.utime(tmp_path / name, (1000 + number, 1000 + number))
    if files:
        (tmp_path / "best.pth").symlink_to(files[0])
    else:
        torch.save({}, tmp_path / "best.pth")
    assert [path.name for path in read_run(tmp_path).checkpoints.best] == expected


@pytest.mark.parametrize("name", ["last_checkpoint", "top_checkpoints.json"])
@pytest.mark.parametrize("content", ["", "\0", "{"])
def test_a_list_that_is_damaged_does_not_keep_a_run_from_being_read(tmp_path, name, content):
    write_start(tmp_path, [1.0])
    (tmp_path / name).write_text(content)
    torch.save({}, tmp_path / "epoch_2.pth")
    found = read_run(tmp_path).checkpoints
    assert (found.newest, found.top) == (tmp_path / "epoch_2.pth", ())


def test_a_folder_without_a_training_is_refused_with_a_hint(tmp_path):
    with pytest.raises(FileNotFoundError, match="found no folder"):
        read_run(tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match="give the work dir of a training"):
        read_run(tmp_path)
    write_start(tmp_path / "run", [1.0])
    with pytest.raises(FileNotFoundError, match=r"did you mean .*/run\?"):
        read_run(tmp_path)
