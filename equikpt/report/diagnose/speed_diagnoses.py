"""Rules about time: steps that wait, grow slower, or stand aside for validation."""

from __future__ import annotations

import numpy as np

from equikpt.core.issues import Issue
from equikpt.report.diagnose.curves import now_set, place
from equikpt.report.run.run_plan import hook_options
from equikpt.report.run.run_state import State

FEW_ROWS = 5
"""A median of as many rows stands for a place of the run."""
WAITING = 0.2
"""``ThreadBudgetHook``'s own share of a step, from 0 to 1, above which waiting is told."""
SLOWER = 2.5
"""Times its former median that a step takes."""
VALIDATING = 0.5
"""Share of the time, from 0 to 1, that validation takes."""


def waits_for_data(state: State) -> Issue | None:
    """The processor idles while the loader works."""
    rows = state.run.train
    if "data_time" not in rows or "time" not in rows or len(rows) < 2 * FEW_ROWS:
        return None
    recent = rows.tail(4 * FEW_ROWS)
    share = float((recent["data_time"] / recent["time"]).median())
    limit = (hook_options(state.run, "ThreadBudgetHook") or {}).get("wait_warning", WAITING)
    if not share > limit:
        return None
    return Issue(
        "waits_for_data",
        f"{share:.0%} of a step is waiting for data: the processor that trains stands idle.",
        f"Raise {now_set(state, 'train_dataloader.num_workers')} up to the number of cores, set "
        "train_dataloader.persistent_workers=True, or keep the images on a faster disk.",
        severity="warning",
    )


def grows_slower(state: State) -> Issue | None:
    """Steps take much longer than they did."""
    times = state.run.train["time"].dropna() if "time" in state.run.train else None
    if times is None or len(times) < 5 * FEW_ROWS:
        return None
    before, now = float(times.iloc[:-FEW_ROWS].median()), float(times.tail(FEW_ROWS).median())
    if not now > SLOWER * before:
        return None
    return Issue(
        "grows_slower",
        f"A step takes {now:.2g} s, {now / before:.1f} times as long as before.",
        "See whether another process shares the machine or memory is short; a smaller "
        f"{now_set(state, 'train_dataloader.batch_size')} needs less of it.",
        severity="warning",
    )


def validates_long(state: State) -> Issue | None:
    """Validation takes more time than training."""
    run, plan = state.run, state.plan
    recent = run.val.tail(FEW_ROWS)
    if (
        len(recent) < FEW_ROWS
        or "time" not in run.train
        or recent["step"].min() < run.train["step"].min()
    ):
        return None
    ends = recent["wall_s"].to_numpy()
    row = np.searchsorted(run.train["step"], recent["step"], side="right") - 1
    before = run.train.iloc[row]
    unlogged = recent["step"].to_numpy() - before["step"].to_numpy()
    begins = before["wall_s"].to_numpy() + unlogged * before["time"].to_numpy()
    share = float(np.sum((ends - begins)[1:]) / (ends[-1] - ends[0]))
    if not share > VALIDATING:
        return None
    return Issue(
        "validates_long",
        f"Validation took {share:.0%} of the time since {place(state, recent['step'].iloc[0])}.",
        f"Raise train_cfg.val_interval (now {plan.val_interval}).",
        severity="info",
    )
