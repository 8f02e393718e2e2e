import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

import equikpt.register  # noqa: F401
from equikpt.core.configs import find_config


def backbone(**options):
    settings = Config.fromfile(find_config("td-hm_litehrnet_coco-256x192")).model.backbone
    torch.manual_seed(0)
    model = MODELS.build({**settings, **options})
    model.init_weights()
    return model


def gradients(model, image: torch.Tensor) -> dict[str, torch.Tensor]:
    model.train()
    model.zero_grad()
    model(image)[0].square().mean().backward()
    return {name: p.grad for name, p in model.named_parameters()}


def test_gradients_are_the_same():
    image = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    plain, recomputed = backbone(), backbone(with_cp=True)
    assert plain.state_dict().keys() == recomputed.state_dict().keys()
    expected, found = gradients(plain, image), gradients(recomputed, image)
    assert all(torch.allclose(found[name], expected[name], atol=1e-6) for name in expected)


def test_less_is_kept_for_the_backward_pass():
    image = torch.zeros(1, 3, 64, 64)

    def kept(model) -> int:
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: sizes.append(tensor.numel()) or tensor, lambda tensor: tensor
        ):
            model.train()
            model(image)
        return sum(sizes)

    assert kept(backbone(with_cp=True)) < 0.5 * kept(backbone())


def test_mmposes_own_fails():
    """The control: without the subclass, the option is of no use."""
    settings = Config.fromfile(find_config("td-hm_litehrnet_coco-256x192")).model.backbone
    own = MODELS.build({**settings, "type": "LiteHRNet", "with_cp": True})
    own.train()
    with pytest.raises(AttributeError, match="requires_grad"):
        own(torch.zeros(1, 3, 64, 64))
