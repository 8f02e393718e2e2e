import pytest
import torch

from equikpt.models.finest_level_fpn import FinestLevelFPN


def features(size=16, widths=(4, 6, 8)):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, width, size >> level, size >> level, generator=generator)
        for level, width in enumerate(widths)
    ]


@pytest.fixture
def neck():
    torch.manual_seed(0)
    made = FinestLevelFPN((4, 6, 8), 5)
    made.init_weights()
    return made.eval()


def test_the_output_has_the_finest_size_alone(neck):
    (merged,) = neck(features())
    assert merged.shape == (2, 5, 16, 16)
    levels = [torch.zeros(1, 4, 13, 9), torch.zeros(1, 6, 7, 5), torch.zeros(1, 8, 4, 3)]
    assert neck(levels)[0].shape == (1, 5, 13, 9)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_every_level_counts(neck, level):
    changed = features()
    changed[level] = changed[level] + 1
    assert (neck(changed)[0] - neck(features())[0]).abs().max() > 1e-3


def test_a_coarse_feature_stays_where_it_is(neck):
    levels = [torch.zeros_like(level) for level in features()]
    empty = neck(levels)[0]
    levels[2][0, :, 1, 3] = 5  # of 4 × 4 cells: rows 4 to 7, columns 12 to 15 of the finest
    moved = (neck(levels)[0] - empty)[0].abs().sum(0)
    rows, columns = (moved.sum(1 - axis).argmax().item() for axis in (0, 1))
    assert 4 <= rows <= 7
    assert 12 <= columns <= 15


def test_every_parameter_has_a_gradient_and_levels_must_fit(neck):
    neck.train()
    neck(features())[0].square().mean().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in neck.parameters())
    with pytest.raises(ValueError, match="features of 3 levels, got 2"):
        neck(features()[:2])
    with pytest.raises(ValueError, match="at least two levels"):
        FinestLevelFPN((4,), 5)
