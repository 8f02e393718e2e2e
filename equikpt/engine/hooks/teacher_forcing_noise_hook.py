"""Noise on the points that a sequence is given in training."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from equikpt.engine.wrapping import unwrap


@HOOKS.register_module()
class TeacherForcingNoiseHook(Hook):
    """Set ``model.head.given_noise``, by epoch: 0 at first, then rising in a line to ``sigma``.

    In training a sequence is given true points, in inference its own, which are a little off; noise
    that grows as the model learns makes the two alike. It depends on the epoch alone, so a resumed
    run goes on with the same. Bengio et al., 2015, https://arxiv.org/abs/1506.03099, mix in
    predictions instead.

    Args:
        sigma: Standard deviation at the end, in normalised coords (−1 to 1 over the input).
        begin: Share of the epochs after which the noise begins, 0 to 1.
        end: Share after which it stays.

    Raises:
        ValueError: Options out of their range, or a head that is not given points.
    """

    def __init__(self, sigma: float = 0.02, begin: float = 0.1, end: float = 0.5) -> None:
        if not sigma >= 0 or not 0 <= begin < end <= 1:
            raise ValueError(
                "expected sigma of at least 0 and 0 <= begin < end <= 1, got "
                f"sigma={sigma}, begin={begin}, end={end}"
            )
        self.sigma = sigma
        self.begin = begin
        self.end = end

    def noise_at(self, progress: float) -> float:
        """Noise at a share of the training."""
        return self.sigma * min(1.0, max(0.0, progress - self.begin) / (self.end - self.begin))

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the noise of this epoch."""
        head = unwrap(runner.model).head
        if not hasattr(head, "given_noise"):
            raise ValueError(
                f"expected a head with given_noise, as SequentialAttentionHead, got "
                f"{type(head).__name__}; leave TeacherForcingNoiseHook out of custom_hooks"
            )
        head.given_noise = self.noise_at(runner.epoch / runner.max_epochs)
        runner.message_hub.update_scalar("train/given_noise", head.given_noise)
