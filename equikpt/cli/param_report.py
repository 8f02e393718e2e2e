"""Table of frozen and trainable stages with their learning rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmpose.registry import MODELS
from torch import nn

from equikpt.engine.freezing import frozen_stages
from equikpt.engine.layer_depth import Stages, stages_of

HEADER = ("stage", "tensors", "parameters", "trains from epoch", "lr", "weight decay")


@dataclass(frozen=True)
class StageRow:
    """One stage of a model as its optimizer sees it.

    Args:
        stage: ``"backbone.0"`` (the stem), …, ``"neck"``, ``"head"``.
        tensors: Number of parameter tensors.
        parameters: Number of scalars in them.
        trains_from: The first epoch, counted from 1, in which they train; None: never.
        rates: Distinct learning rates at the start, after the warm-up.
        decays: Distinct weight decays.
    """

    stage: str
    tensors: int
    parameters: int
    trains_from: int | None
    rates: tuple[float, ...]
    decays: tuple[float, ...]


def stage_rows(cfg: Config) -> list[StageRow]:
    """Build the model and the optimizer of a config and read the table off them.

    Raises:
        ValueError: What the optimizer's constructor finds wrong.
    """
    model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    group_of = {id(p): group for group in wrapper.param_groups for p in group["params"]}
    stages = stages_of(model)
    begins = _first_epochs(cfg, model, stages)
    rows = []
    for stage in sorted(set(stages.of_parameter.values())):
        of_stage = [p for name, p in model.named_parameters() if stages.of_parameter[name] == stage]
        groups = [group_of[id(p)] for p in of_stage if id(p) in group_of]
        rows.append(
            StageRow(
                stages.label(stage),
                len(of_stage),
                sum(p.numel() for p in of_stage),
                begins[stage] if groups else None,
                tuple(sorted({group["lr"] for group in groups})),
                tuple(sorted({group.get("weight_decay", 0.0) for group in groups})),
            )
        )
    return rows


def _first_epochs(cfg: Config, model: nn.Module, stages: Stages) -> dict[int, int | None]:
    """The epoch, counted from 1, from which each stage trains."""
    hooks = [*cfg.get("default_hooks", {}).values(), *cfg.get("custom_hooks", ())]
    phases: Sequence[dict] = next(
        (hook["phases"] for hook in hooks if hook and hook["type"] == "StageUnfreezeHook"),
        [dict(begin=0, frozen_stages=frozen_stages(model))],
    )
    return {
        stage: next((p["begin"] + 1 for p in phases if p["frozen_stages"] < stage), None)
        for stage in set(stages.of_parameter.values())
    }


def as_cells(row: StageRow) -> tuple[str, ...]:
    """The row as text, in the order of :data:`HEADER`."""
    return (
        row.stage,
        str(row.tensors),
        f"{row.parameters:,}",
        "never" if row.trains_from is None else str(row.trains_from),
        ", ".join(f"{rate:.3g}" for rate in row.rates) or "–",
        ", ".join(f"{decay:.3g}" for decay in row.decays) or "–",
    )


def parameter_lines(cfg: Config) -> list[str]:
    """``stage  shape  name`` of every parameter, in the model's order."""
    model = MODELS.build(cfg.model)
    stages = stages_of(model)
    return [
        f"{stages.label(stages.of_parameter[name]):<12}{str(tuple(p.shape)):<22}{name}"
        for name, p in model.named_parameters()
    ]
