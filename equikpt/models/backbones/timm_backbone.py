"""Any timm model as a backbone."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from equikpt.models.backbones.stage_rules import TIMM_RULES, assign_stages
from equikpt.models.backbones.timm_weights import fitting_weights, packaged_file


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """Feature maps of a timm model (https://github.com/huggingface/pytorch-image-models).

    Args:
        model_name: timm's name, such as ``"efficientnet_lite0"``.
        weights: ``"timm"`` fetches the weights that timm publishes under this name; ``"package"``
            takes them from an installed package
            (:data:`~equikpt.models.backbones.timm_weights.PACKAGED`); a path reads a local file
            (timm's own names, or the original EfficientNet-PyTorch ones); ``None`` starts from
            random weights.
        out_indices: Which of timm's feature levels to hand on, from shallow to deep.
        frozen_stages: Stages 0 to this one (0 is the stem) do not train, and their BN statistics
            stand still; -1 freezes nothing. ``TIMM_RULES`` in ``stage_rules.py`` tells the stages.
        norm_eval: Keep all BN statistics still.
        with_cp: Gradient checkpointing: less memory, one more forward pass.
        **timm_kwargs: Passed to ``timm.create_model``, such as ``bn_eps`` or ``drop_path_rate``.

    Shapes:
        ``(B, 3, H, W)`` normalised images to a tuple of ``(B, C_i, H / r_i, W / r_i)``; the
        widths C_i are :attr:`channels`, the strides r_i :attr:`strides`.

    Raises:
        ImportError: timm is not installed.
        ValueError: timm has no such model or level, or the weights do not fit.
    """

    def __init__(
        self,
        model_name: str,
        weights: str | None = None,
        out_indices: Sequence[int] = (-1,),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool = False,
        **timm_kwargs,
    ) -> None:
        super().__init__(init_cfg=None)
        net: Any = _create(model_name, weights, tuple(out_indices), timm_kwargs)
        _drop_unused_blocks(net)
        if with_cp:
            net.set_grad_checkpointing(True)
        self.net = net
        self.channels: list[int] = net.feature_info.channels()
        self.strides: list[int] = net.feature_info.reduction()
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        names = (name for name, _ in self.named_parameters())
        self._stages = dict(assign_stages(names, TIMM_RULES, "timm"))
        deepest = max(self._stages.values())
        if not -1 <= frozen_stages <= deepest:
            raise ValueError(
                f"expected frozen_stages from -1 (nothing) to {deepest} for {model_name}, got "
                f"{frozen_stages}"
            )
        self._freeze_stages()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The feature maps of ``out_indices``, from shallow to deep."""
        return tuple(self.net(images))

    def init_weights(self) -> None:
        """Nothing: timm has initialised or loaded the weights, and would do so again if asked."""
        self._is_init = True

    def train(self, mode: bool = True) -> TimmBackbone:
        """As in torch, but what is frozen stays in eval."""
        super().train(mode)
        self._freeze_stages()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _freeze_stages(self) -> None:
        if self.frozen_stages < 0:
            return
        for name, parameter in self.named_parameters():
            if self._stages[name] <= self.frozen_stages:
                parameter.requires_grad = False
        for name, module in self.named_modules():
            stages = (
                [self._stages[f"{name}.{p}"] for p, _ in module.named_parameters()] if name else []
            )
            if stages and max(stages) <= self.frozen_stages:
                module.eval()  # its BN statistics, dropout and stochastic depth


def _drop_unused_blocks(net: Any) -> None:
    """Blocks behind the last feature that is used: EfficientNets and MobileNets keep them in timm.

    They cost time, and DDP waits for their gradients.
    """
    used = [re.fullmatch(r"blocks\.(\d+)", name) for name in net.feature_info.module_name()]
    if isinstance(getattr(net, "blocks", None), nn.Sequential) and used[-1] is not None:
        net.blocks = net.blocks[: int(used[-1].group(1)) + 1]


def _create(
    model_name: str, weights: str | None, out_indices: tuple[int, ...], kwargs: dict
) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise ImportError(
            "expected timm for TimmBackbone, found none: run `pip install -r requirements/timm.txt`"
        ) from error
    if not timm.is_model(model_name):
        near = ", ".join(timm.list_models(f"*{model_name.split('.')[0].split('_')[0]}*")[:5])
        raise ValueError(
            f"expected a model of timm {timm.__version__}, got {model_name!r}; "
            f"{f'near it are {near}' if near else 'timm.list_models() shows all'}"
        )
    options = dict(kwargs, features_only=True, out_indices=out_indices)
    if weights == "package":
        weights = packaged_file(model_name)
    if weights is not None and weights != "timm":
        whole = timm.create_model(model_name, num_classes=0, **kwargs)
        state = fitting_weights(weights, whole, model_name)
        options |= dict(pretrained=True, pretrained_cfg_overlay=dict(state_dict=state))
    elif weights == "timm":
        options["pretrained"] = True
    try:
        # loading draws no numbers; what timm would say of the file's classifier was checked already
        quiet = _quiet() if options.get("pretrained_cfg_overlay") else contextlib.nullcontext()
        with torch.random.fork_rng(enabled=weights is not None), quiet:
            return timm.create_model(model_name, **options)
    except (IndexError, AssertionError) as error:
        raise ValueError(
            f"expected out_indices among the feature levels of {model_name}, got {out_indices} "
            f"({error}); most models have levels 0 to 4, of strides 2 to 32"
        ) from error
    except (OSError, RuntimeError) as error:
        raise OSError(
            f"the weights of {model_name} cannot be had from timm ({error}); check the network, or "
            "give the path of a local file as weights"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without timm's warnings of tensors that it does not need."""
    logger = logging.getLogger("timm.models._builder")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
