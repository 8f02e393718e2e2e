import pytest
import torch

from equikpt.models.coords import (
    FourierPositionEncoding,
    GaussianFoveation,
    InhibitionOfReturn,
    cell_centers,
    sample_point_features,
)


def test_cells_lie_where_strided_convolutions_put_them():
    coords = cell_centers(torch.zeros(1, 1, 2, 4))
    assert coords.tolist() == [
        [-1, -1], [-0.5, -1], [0, -1], [0.5, -1], [-1, 0], [-0.5, 0], [0, 0], [0.5, 0],
    ]  # fmt: skip


def test_features_are_sampled_at_cells_between_them_and_not_outside():
    features = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    sampled = sample_point_features(features, cell_centers(features).expand(2, -1, -1))
    torch.testing.assert_close(sampled, features.flatten(2).transpose(1, 2))
    features = torch.arange(4.0).reshape(1, 1, 1, 4)
    coords = torch.tensor([[[-0.25, -1.0], [-3, 0], [0, 3]]])
    assert sample_point_features(features, coords).flatten().tolist() == pytest.approx([1.5, 0, 0])


def test_different_coords_have_different_embeddings():
    embed = FourierPositionEncoding(16)
    coords = cell_centers(torch.zeros(1, 1, 24, 24))
    apart = torch.cdist(embed(coords), embed(coords)) + torch.eye(len(coords)) * 9
    assert apart.min() > 1e-3


def test_foveation_peaks_at_the_guess_and_narrows():
    fovea = GaussianFoveation(first_sigma=0.2, narrowing=0.5)
    coords = torch.tensor([[0.0, 0.0], [0.2, 0.0], [0.0, 0.1]])
    guess = torch.zeros(1, 1, 2)
    assert fovea(guess, coords, 1)[0, 0].tolist() == pytest.approx([0, -0.5, -0.125])
    assert fovea(guess, coords, 2)[0, 0].tolist() == pytest.approx([0, -2.0, -0.5])


def test_inhibition_adds_up_over_the_points_before_a_step():
    inhibit = InhibitionOfReturn(sigma=0.1, strength=4.0)
    coords = torch.tensor([[0.0, 0.0], [0.5, 0.5], [-0.9, 0.9]])
    points = torch.tensor([[[0.0, 0.0], [0.5, 0.5], [0.0, 0.0]]])
    bias = inhibit(points, torch.tensor([[1.0, 1.0, 0.0]]), coords)[0]
    expected = torch.tensor([[0, 0, 0], [-4, 0, 0], [-4, -4, 0], [-4, -4, 0]])
    torch.testing.assert_close(bias, expected.float(), rtol=1e-5, atol=1e-4)


def test_a_dent_is_learnt():
    inhibit = InhibitionOfReturn()
    inhibit(torch.zeros(1, 1, 2), torch.ones(1, 1), torch.tensor([[0.05, 0.0]])).sum().backward()
    assert all(p.grad is not None and p.grad.abs() > 0 for p in inhibit.parameters())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: GaussianFoveation(first_sigma=0), "first_sigma above 0"),
        (lambda: GaussianFoveation(narrowing=1.5), "narrowing above 0 and up to 1"),
        (lambda: InhibitionOfReturn(sigma=0), "sigma and strength above 0"),
    ],
)
def test_wrong_sizes_say_what_is_right(build, message):
    with pytest.raises(ValueError, match=message):
        build()
