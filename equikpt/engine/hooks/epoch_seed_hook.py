"""Seeds at the start of every training epoch."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from equikpt.engine.seeding import seed_everything


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed each epoch from (seed, epoch, rank): an interrupted and resumed run is the same run.

    Augmentation, dropout and the loader workers' seeds follow from it (set
    ``persistent_workers=False`` and ``worker_init_fn=dict(type="equikpt_worker_init_fn")``). The
    order of the pictures already depends on the epoch alone (``DistSamplerSeedHook``).

    Note:
        Any priority will do: nothing draws random numbers between this event and the first batch.
    """

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed the main process; workers are forked after this."""
        seed_everything(runner.seed, runner.epoch, runner.rank)
