from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from equikpt.cli import options as declare
from equikpt.cli.options import option

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn

    from equikpt.engine.stages import Stages

COLUMNS = ("stage", "tensors", "parameters", "trains from epoch", "lr", "weight decay")


@dataclass(frozen=True)
class ParamReportOptions:
    """Show which stages of a config's model train, from which epoch on, and at which rates."""

    config: str = declare.config_argument()
    names: bool = option("list every parameter too", default=False)
    cfg_options: Sequence[str] | None = declare.cfg_options()


def main(argv: list[str] | None = None) -> int:
    """Print the table of stages; 0 when done."""
    options = declare.parse(ParamReportOptions, argv)
    from rich.console import Console
    from rich.table import Table

    from equikpt.cli.launch import build_model, load_config, parse_options
    from equikpt.engine.stages import stages_of

    cfg = load_config(options.config, parse_options(options.cfg_options))
    model = build_model(cfg)
    stages = stages_of(model)
    table = Table(title=options.config)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "stage" else "right")
    for cells in _rows(cfg, model, stages):
        table.add_row(*cells)
    Console().print(table)
    for name, p in model.named_parameters() if options.names else ():
        stage = stages.label(stages.of_parameter[name])
        print(f"{stage:<12}{str(tuple(p.shape)):<22}{name}")
    return 0


def _rows(cfg: Config, model: nn.Module, stages: Stages) -> list[tuple[str, ...]]:
    """Cells of each stage, read off the param groups of the config's optimizer."""
    from mmengine.optim import build_optim_wrapper

    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    group_of = {id(p): group for group in wrapper.param_groups for p in group["params"]}
    begins = _first_epochs(cfg, model, stages)
    rows: list[tuple[str, ...]] = []
    for stage in sorted(set(stages.of_parameter.values())):
        of_stage = [p for name, p in model.named_parameters() if stages.of_parameter[name] == stage]
        groups = [group_of[id(p)] for p in of_stage if id(p) in group_of]
        rates = sorted({group["lr"] for group in groups})
        decays = sorted({group.get("weight_decay", 0.0) for group in groups})
        rows.append(
            (
                stages.label(stage),
                str(len(of_stage)),
                f"{sum(p.numel() for p in of_stage):,}",
                str(begins[stage] if groups and begins[stage] is not None else "never"),
                ", ".join(f"{rate:.3g}" for rate in rates) or "–",
                ", ".join(f"{decay:.3g}" for decay in decays) or "–",
            )
        )
    return rows


def _first_epochs(cfg: Config, model: nn.Module, stages: Stages) -> dict[int, int | None]:
    """The epoch, counted from 1, from which each stage trains; None where it never does."""
    from equikpt.engine.stages import frozen_stages

    hooks = [*cfg.get("default_hooks", {}).values(), *cfg.get("custom_hooks", ())]
    phases: Sequence[dict] = next(
        (hook["phases"] for hook in hooks if hook and hook["type"] == "StageUnfreezeHook"),
        [dict(begin=0, frozen_stages=frozen_stages(model))],
    )
    return {
        stage: next((p["begin"] + 1 for p in phases if p["frozen_stages"] < stage), None)
        for stage in set(stages.of_parameter.values())
    }
