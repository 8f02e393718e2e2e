import copy

import pytest
import torch
from torch import nn

from equikpt.engine.depthwise_conv import DepthwiseConv2d, DepthwiseGradHook
from tests.engine.conftest import make_runner

GEOMETRIES = {
    "5x5": dict(kernel_size=5, padding=2),
    "3x3 stride 2": dict(kernel_size=3, padding=1, stride=2),
    "5x5 stride 2": dict(kernel_size=5, padding=2, stride=2),
    "7x7": dict(kernel_size=7, padding=3),
    "dilated": dict(kernel_size=3, padding=2, dilation=2),
    "5x5 dilated": dict(kernel_size=5, padding=3, dilation=2, stride=(2, 3)),
    "even": dict(kernel_size=4),
    "not square": dict(kernel_size=(3, 5), padding=(1, 0)),
}
each_geometry = pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)


def depthwise(channels: int = 8, **geometry) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(channels, channels, groups=channels, bias=False, **geometry)


def converted(stock: nn.Module) -> nn.Module:
    ours = copy.deepcopy(stock)
    assert DepthwiseConv2d.convert_depthwise_convs(ours) == 1
    return ours


def gradients(conv: nn.Conv2d, features: torch.Tensor, amp: bool):
    """Output, gradient of the input and of the weights, of a weighted sum of the outputs."""
    features = features.clone().requires_grad_()
    conv.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=amp):
        out = conv(features)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(2))
    out.backward(weights.to(out.dtype))
    return out.detach(), features.grad, conv.weight.grad.clone()


@pytest.fixture
def features():
    return torch.randn(4, 8, 17, 15, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@each_geometry
def test_float32_is_the_same_to_rounding(geometry, layout, features):
    stock = depthwise(**geometry).to(memory_format=layout)
    ours = converted(stock)
    features = features.to(memory_format=layout)
    out, grad_features, grad_weight = gradients(ours, features, False)
    stock_out, stock_grad_features, stock_grad_weight = gradients(stock, features, False)
    assert torch.equal(out, stock_out)
    torch.testing.assert_close(grad_features, stock_grad_features, rtol=1e-5, atol=1e-5)
    scale = stock_grad_weight.abs().max().item()
    torch.testing.assert_close(grad_weight, stock_grad_weight, rtol=1e-5, atol=1e-6 * scale)


def test_float64_is_untouched(features):
    stock = depthwise(kernel_size=5, padding=2).double()
    both = (gradients(conv, features.double(), False) for conv in (converted(stock), stock))
    assert all(torch.equal(one, other) for one, other in zip(*both, strict=True))


@each_geometry
def test_weight_gradient_is_the_exact_one_of_rounded_activations(geometry, features):
    """What bfloat16 leaves is the rounding of the activations, none of the gradient itself."""
    stock = depthwise(**geometry)
    ours = converted(stock)
    out, grad_features, grad_weight = gradients(ours, features, True)
    stock_out, stock_grad_features, stock_grad_weight = gradients(stock, features, True)

    assert out.dtype == torch.bfloat16
    assert torch.equal(out, stock_out)
    torch.testing.assert_close(grad_features, stock_grad_features, rtol=0.01, atol=0.01)

    # gradients() draws its weights of the outputs in float32 and rounds them; so does this
    rounded = features.bfloat16().double()
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(2)).bfloat16().double()
    exact = torch.nn.grad.conv2d_weight(
        rounded, stock.weight.shape, weights, stock.stride, stock.padding, stock.dilation, 8
    )
    error = (grad_weight.double() - exact).abs().max()
    stock_error = (stock_grad_weight.double() - exact).abs().max()
    assert grad_weight.dtype == torch.float32
    assert error < 1e-4 * exact.abs().max()
    assert error < stock_error / 10


def test_frozen_filters_get_no_gradient(features):
    conv = converted(depthwise(kernel_size=3, padding=1)).requires_grad_(False)
    inputs = features.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        conv(inputs).float().sum().backward()
    assert conv.weight.grad is None
    assert inputs.grad is not None


OTHERS = {
    "grouped": nn.Conv2d(8, 8, 3, groups=4),
    "two filters a channel": nn.Conv2d(8, 16, 3, groups=8, bias=False),
    "with a bias": nn.Conv2d(8, 8, 3, groups=8),
    "dense": nn.Conv2d(8, 8, 3, bias=False),
    "one channel": nn.Conv2d(1, 1, 3, bias=False),
    "reflected borders": depthwise(kernel_size=3, padding=1, padding_mode="reflect"),
    "named padding": depthwise(kernel_size=3, padding="same"),
}


@pytest.mark.parametrize("module", OTHERS.values(), ids=OTHERS)
def test_other_convolutions_stay(module):
    assert DepthwiseConv2d.convert_depthwise_convs(nn.Sequential(module)) == 0
    assert type(module) is nn.Conv2d


def test_parameters_and_names_stay():
    model = nn.Sequential(depthwise(kernel_size=3), nn.BatchNorm2d(8))
    before = model.state_dict()
    held = list(model.parameters())
    assert DepthwiseConv2d.convert_depthwise_convs(model) == 1
    assert DepthwiseConv2d.convert_depthwise_convs(model) == 0  # once
    assert list(model.state_dict()) == list(before)
    assert all(one is other for one, other in zip(model.parameters(), held, strict=True))
    plain = nn.Sequential(depthwise(kernel_size=3), nn.BatchNorm2d(8))
    plain.load_state_dict(model.state_dict())


@pytest.mark.parametrize("enabled", [True, False])
def test_the_hook_converts_and_logs_it(enabled):
    runner = make_runner(model=nn.Sequential(nn.Conv2d(3, 8, 3), depthwise(kernel_size=5)))
    DepthwiseGradHook(enabled).before_train(runner)
    assert [type(module) is DepthwiseConv2d for module in runner.model] == [False, enabled]
    assert len(runner.lines) == enabled
    dense = make_runner(model=nn.Sequential(nn.Conv2d(3, 4, 3)))
    DepthwiseGradHook().before_train(dense)
    assert dense.lines == []
