import io
import logging
import re
import sys
from types import SimpleNamespace

import pytest
from mmengine.logging import MMLogger
from tqdm.contrib import DummyTqdmFile

from equikpt.engine.progress_bar_hook import ProgressBarHook
from tests.engine.conftest import make_runner


class Terminal(io.StringIO):
    """What both standard streams of a process in a terminal write into."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        """The lines that a person sees; a carriage return goes back to the line's start."""
        shown = []
        for line in self.getvalue().split("\n"):
            cells: list[str] = []
            for part in line.split("\r"):
                cells[: len(part)] = part
            shown.append("".join(cells).rstrip())
        return shown


@pytest.fixture
def attach(monkeypatch):
    """``attach(stream)`` makes it both standard streams; in the test, as pytest sets its own."""

    def to(stream: io.StringIO) -> io.StringIO:
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("COLUMNS", "100")
        return stream

    return to


def two_epochs(**attributes) -> SimpleNamespace:
    """A runner of four steps an epoch, and three batches to validate and to test on."""
    stock = dict(max_iters=8, max_epochs=2, val_dataloader=range(3), test_dataloader=range(3))
    logger = MMLogger.get_instance("progress_bar")
    return make_runner(logger=logger, **stock, **attributes)


def start(runner: SimpleNamespace, **options) -> ProgressBarHook:
    """The hook when the first epoch of a run begins."""
    hook = ProgressBarHook(**options)
    hook.before_run(runner)
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    return hook


def train_epoch(hook: ProgressBarHook, runner: SimpleNamespace, steps: int = 4) -> None:
    for index in range(steps):
        runner.message_hub.update_scalar("train/loss", 0.5)
        hook.after_train_iter(runner, index)
        runner.iter += 1


def bars(screen: list[str]) -> list[str]:
    return [line for line in screen if "%|" in line]


def test_the_bar_says_epoch_step_loss_and_time_left(attach):
    console = attach(Terminal())
    runner = two_epochs()
    hook = start(runner)
    train_epoch(hook, runner, steps=3)
    runner.logger.info("a line of the log")  # which draws the bar anew below it
    (bar,) = bars(console.screen())
    assert re.match(r"epoch 1/2: +75%\|.*\| 3/4 \[00:00<00:00,", bar)
    assert bar.endswith("loss 0.5, run 00:00 left]")
    hook.after_train_epoch(runner)
    hook.after_run(runner)


def test_lines_of_the_log_are_whole_and_above_the_bar(attach):
    console = attach(Terminal())
    runner = two_epochs()
    hook = start(runner)
    for number in range(3):
        train_epoch(hook, runner, steps=1)
        runner.logger.info(f"line {number} of the log")
    *lines, bar = console.screen()
    assert [re.sub(r".* - ", "", line) for line in lines] == [
        f"line {number} of the log" for number in range(3)
    ]
    assert bar.startswith("epoch 1/2")
    hook.after_train_epoch(runner)
    assert console.screen()[-1] == ""  # a bar that is done goes away


@pytest.mark.parametrize("stage", ["val", "test"])
def test_a_pass_goes_away_before_its_metrics_are_computed(attach, stage):
    console = attach(Terminal())
    hook, runner = ProgressBarHook(), two_epochs()
    hook.before_run(runner)
    getattr(hook, f"before_{stage}_epoch")(runner)
    titles = []
    for index in range(3):
        runner.logger.info("draws the bar anew")
        titles += [re.sub(r":.*\| (\d/\d).*", r" \1", bar) for bar in bars(console.screen())]
        getattr(hook, f"after_{stage}_iter")(runner, index)
    title = {"val": "validation", "test": "test"}[stage]
    assert titles == [f"{title} 0/3", f"{title} 1/3", f"{title} 2/3"]
    sys.stdout.write("what a metric prints\n")
    assert console.screen()[-2:] == ["what a metric prints", ""]
    assert not bars(console.screen())


def test_time_left_of_the_run_counts_validations_and_not_what_was_resumed(attach, monkeypatch):
    console = attach(Terminal())
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("equikpt.engine.progress_bar_hook.time.monotonic", lambda: clock.now)
    hook, runner = ProgressBarHook(), two_epochs(iter=4, epoch=1)
    hook.before_run(runner)
    hook.before_train(runner)
    clock.now = 600.0  # of which steps took no time
    hook.before_train_epoch(runner)
    train_epoch(hook, runner, steps=2)
    runner.logger.info("draws the bar anew")
    (bar,) = bars(console.screen())
    assert bar.startswith("epoch 2/2:  50%")
    assert bar.endswith("run 10:00 left]")  # two steps in 600 s, two to go
    hook.after_train_epoch(runner)


@pytest.mark.parametrize(
    ("stream", "options", "rank"),
    [(io.StringIO, {}, 0), (Terminal, {}, 1), (Terminal, dict(enabled=False), 0)],
    ids=["no terminal", "another rank", "switched off"],
)
def test_nothing_is_written_and_nothing_changed(attach, stream, options, rank):
    console = attach(stream())
    runner = two_epochs(rank=rank)
    streams = [handler.stream for handler in runner.logger.handlers]
    hook = start(runner, **options)
    assert [handler.stream for handler in runner.logger.handlers] == streams
    train_epoch(hook, runner)
    hook.after_train_epoch(runner)
    hook.before_val_epoch(runner)
    hook.after_val_iter(runner, 0)
    hook.after_run(runner)
    assert console.getvalue() == ""


def test_a_log_that_goes_to_a_file_gets_no_control_characters(attach, tmp_path):
    console = attach(Terminal())
    runner = two_epochs()
    (handler,) = runner.logger.handlers
    with open(tmp_path / "log.txt", "w") as file:  # standard output, redirected
        sys.stdout = file
        handler.setStream(file)
        hook = start(runner)
        train_epoch(hook, runner)
        runner.logger.info("a line of the log")
        hook.after_train_epoch(runner)
    assert re.fullmatch(r".* - a line of the log\n", (tmp_path / "log.txt").read_text())
    assert "epoch 1/2" in console.getvalue()


def test_the_log_has_its_streams_and_filters_back(attach, tmp_path):
    attach(Terminal())
    logger = MMLogger.get_instance("progress_bar", log_file=str(tmp_path / "run.log"))
    to_console, to_file = logger.handlers
    before = [(h.stream, h.level, h.formatter, list(h.filters)) for h in logger.handlers]
    hook, runner = ProgressBarHook(), two_epochs()
    hook.before_run(runner)
    assert isinstance(to_console.stream, DummyTqdmFile)
    assert to_file.stream is before[1][0]
    hook.after_run(runner)
    assert before == [(h.stream, h.level, h.formatter, list(h.filters)) for h in logger.handlers]
    assert isinstance(to_file, logging.FileHandler)
