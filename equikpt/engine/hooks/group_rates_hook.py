"""The learning rate of every tier in the log and in TensorBoard."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS


@HOOKS.register_module()
class GroupRatesHook(Hook):
    """Log ``lr_<tier>`` for the groups that ``LayerwiseLrConstructor`` made, where they differ.

    MMEngine logs the rate of the first group alone. Groups of one tier differ in weight decay
    only; stages of the backbone that share a rate are one line.
    """

    priority = "VERY_LOW"

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        """Write down the rates that this step is going to use."""
        groups = runner.optim_wrapper.param_groups
        rates = {group["tier"]: group["lr"] for group in groups if "tier" in group}
        if len(set(rates.values())) < 2:
            return  # the log has it already
        stages = [tier for tier in rates if tier.startswith("backbone.")]
        if len({rates[tier] for tier in stages}) == 1:
            rates = {"backbone": rates[stages[0]]} | {
                tier: rate for tier, rate in rates.items() if tier not in stages
            }
        for tier, rate in rates.items():
            runner.message_hub.update_scalar(f"train/lr_{tier}", rate)
