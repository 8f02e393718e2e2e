"""Changes of a project's recipe, by name, for `time_to_score.py`: each might be worth its time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from mmengine.config import Config
from mmpose.registry import MODELS
from torch import Tensor, nn

LITE2_CHANNELS = (48, 120, 352)


def _mild(cfg: Config) -> None:
    cfg.train_dataloader.dataset.pipeline = cfg.mild_pipeline


def _sizes(cfg: Config, train_px: int, test_px: int, stride: int = 8, sigma: float = 1.2) -> None:
    codec = dict(sigma=sigma, blur_kernel_size=5 if sigma > 2 else 3)
    for place, side in (
        (cfg.train_dataloader.dataset, train_px),
        (cfg.val_dataloader.dataset, test_px),
        (cfg.test_dataloader.dataset, test_px),
        (cfg.model.head, test_px),
    ):
        key = "decoder" if place is cfg.model.head else "codec"
        own = dict(input_size=(side, side), heatmap_size=(side // stride, side // stride))
        place[key] = dict(place[key], **codec, **own)


def _lite2(cfg: Config) -> None:
    cfg.model.backbone.model_name = "efficientnet_lite2"
    cfg.model.head.in_channels = sum(LITE2_CHANNELS)


def _stride4(cfg: Config) -> None:
    """Heatmaps of stride 4, with the features of that stride beside the others."""
    cfg.model.backbone.out_indices = (1, 2, 3, 4)
    cfg.model.head.in_channels += 24
    _sizes(cfg, 192, 224, stride=4, sigma=2.4)


def _ema(cfg: Config, steps: int) -> None:
    """Weights averaged over some steps from the hundredth on, not from the two thousandth."""
    (hook,) = (hook for hook in cfg.custom_hooks if hook.type == "EMAHook")
    hook.update(gamma=100, momentum=1 / steps)


def _warm_up(cfg: Config) -> None:
    cfg.param_scheduler[0].end = cfg.train_cfg.max_epochs // 3


def _occlusion(cfg: Config) -> None:
    """Patches over keypoints in half of the images, which stay labelled."""
    pipeline = cfg.train_dataloader.dataset.pipeline
    at = [step.type for step in pipeline].index("DropOutsideKeypoints") + 1
    pipeline.insert(at, dict(type="RandomOcclusion", prob=0.5))


def _mixup(cfg: Config) -> None:
    cfg.custom_imports.imports.append("recipe_changes")
    augments = [dict(type="KeypointMixup")]
    cfg.model.data_preprocessor.batch_augments = augments


CHANGES: dict[str, Callable[[Config], None]] = {
    "project": lambda cfg: None,
    "mild": _mild,
    "lite2": _lite2,
    "input256": lambda cfg: _sizes(cfg, 256, 288),
    "stride4": _stride4,
    "occlusion": _occlusion,
    "mixup": _mixup,
    "warmup": _warm_up,
    "ema50": lambda cfg: _ema(cfg, 50),
    "ema200": lambda cfg: _ema(cfg, 200),
}


@MODELS.register_module()
class KeypointMixup(nn.Module):
    """Mix a second image into half of a batch; the points of the first one stay the target.

    Args:
        share: Greatest share of the second image, below a half, so that the first one is told.
    """

    def __init__(self, share: float = 0.4) -> None:
        super().__init__()
        self.share = share

    def forward(self, images: Tensor, data_samples: list) -> tuple[Tensor, list]:
        """Mix images (B, 3, H, W)."""
        share = self.share * torch.rand(len(images), 1, 1, 1, device=images.device)
        share = share * (torch.rand_like(share) < 0.5)
        return (1 - share) * images + share * images.roll(1, dims=0), data_samples
