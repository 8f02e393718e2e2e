import math

import pytest
import torch

from equikpt.models.sequential_attention import SequentialAttention, Steps
from equikpt.models.working_memory import WorkingMemory


@pytest.fixture(params=[0, 6], ids=["unnamed", "named"])
def attention(request) -> SequentialAttention:
    """Weights large enough that what is attended to matters."""
    torch.manual_seed(0)
    model = SequentialAttention(8, width=16, heads=2, names=request.param).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2, 8, 6, 6, generator=generator)
    points = torch.rand(2, 5, 2, generator=generator) * 2 - 1
    valid = torch.ones(2, 5)
    valid[1, 2] = 0
    return features, points, valid


@torch.no_grad()
def one_by_one(attention, features, points, valid) -> list[Steps]:
    scene = attention.scene(features)
    steps, memory = attention.first(scene)
    found = [steps]
    for number in range(points.shape[1]):
        here = slice(number, number + 1)
        steps, memory = attention.next(scene, memory, points[:, here], valid[:, here])
        found.append(steps)
    return found


@torch.no_grad()
def test_all_steps_at_once_are_the_steps_one_by_one(attention, inputs):
    apart = one_by_one(attention, *inputs)
    found = tuple(torch.cat(parts, dim=1) for parts in zip(*apart, strict=True))
    torch.testing.assert_close(found, tuple(attention(*inputs)), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_without_points_there_is_the_first_step(attention, inputs):
    features, points, valid = inputs
    alone = attention(features, points[:, :0], valid[:, :0])
    every = attention(features, points, valid)
    torch.testing.assert_close(tuple(alone), tuple(part[:, :1] for part in every))


@torch.no_grad()
def test_a_step_knows_nothing_of_later_points(attention, inputs):
    features, points, valid = inputs
    other = points.clone()
    other[:, 3:] = -other[:, 3:]
    plain, changed = attention(features, points, valid), attention(features, other, valid)
    before, same = (tuple(part[:, :4] for part in steps) for steps in (plain, changed))
    torch.testing.assert_close(before, same)
    assert not torch.allclose(plain.attention[:, 4:], changed.attention[:, 4:])


@torch.no_grad()
def test_images_do_not_mix(attention, inputs):
    both = tuple(part[1:] for part in attention(*inputs))
    alone = tuple(attention(*(part[1:] for part in inputs)))
    torch.testing.assert_close(both, alone, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_what_is_marked_attracts_less(attention, inputs):
    """The mark's own cell loses against all others from the step that knows it."""
    features, _, _ = inputs
    scene = attention.scene(features)
    marked = scene.coords[14].expand(2, 1, 2)
    state = torch.zeros(2, 2, 16)  # the same for both steps
    inhibition = attention.inhibition(marked, torch.ones(2, 1), scene.coords)
    before, after = attention.glimpse(scene, state, inhibition).attention.softmax(-1).unbind(1)
    assert (after[:, 14] < 0.2 * before[:, 14]).all()


@torch.no_grad()
def test_glimpses_stay_near_the_highest_cell(inputs):
    """Whatever the later glimpses see, the fovea holds them."""
    torch.manual_seed(0)
    attention = SequentialAttention(8, width=16, heads=2, num_glimpses=4, first_sigma=0.1)
    steps = attention(*inputs)
    coords = attention.scene(inputs[0]).coords
    peak = coords[steps.attention.argmax(dim=-1)]
    assert (steps.coords - peak).norm(dim=-1).max() < 0.4


@torch.no_grad()
def test_the_number_of_things_that_the_map_has_near_coords(attention):
    scene = attention.scene(torch.zeros(2, 8, 48, 48))
    coords = torch.tensor([[[-1.0, -1.0], [0.0, 0.0]], [[3.0, 3.0], [0.0, 0.0]]])
    flat = Steps(coords, torch.zeros(2, 2), torch.zeros(2, 2, 48 * 48))
    radius = 2 * attention.foveation.sigma(3)
    for image, step in ((0, 0), (0, 1), (1, 0)):
        near = (scene.coords - coords[image, step]).norm(dim=-1) <= radius
        number = attention.count_near(scene, flat)[image, step]
        assert number.item() == pytest.approx(near.sum().item())  # one in each cell
    sharp = flat._replace(attention=torch.full_like(flat.attention, -50.0))
    cell = int((scene.coords - coords[0, 1]).norm(dim=-1).argmin())
    sharp.attention[:, 1, cell] = math.log(0.7)
    at_cell = sharp._replace(coords=scene.coords[cell].expand(2, 2, 2))
    assert attention.count_near(scene, at_cell)[:, 1].tolist() == pytest.approx([0.7, 0.7])
    assert sharp.count_left[:, 1].tolist() == pytest.approx([0.7, 0.7])


@torch.no_grad()
def test_winners_are_high_cells_apart_from_each_other(inputs):
    torch.manual_seed(0)
    attention = SequentialAttention(8, width=16, heads=2, return_strength=20.0)
    features = inputs[0]
    scene = attention.scene(features)
    first = attention.first(scene)[0].attention[:, 0]
    greedy_peaks = attention.greedy_peaks(features, 4)
    torch.testing.assert_close(greedy_peaks[:, 0], scene.coords[first.argmax(dim=-1)])
    cells = (greedy_peaks[:, :, None] - scene.coords).norm(dim=-1).argmin(dim=-1)
    # what is suppressed is narrower than cells here, so the peaks are the highest cells, in order
    assert torch.equal(cells, first.topk(4).indices)


@torch.no_grad()
def test_a_point_lowers_the_number_that_is_left(attention, inputs):
    steps = attention(*inputs)
    scene = attention.scene(inputs[0])
    state = torch.zeros(2, 6, 16)  # all else the same
    inhibition = attention.inhibition(*inputs[1:], scene.coords)
    looked = attention.glimpse(scene, state, inhibition)
    left = steps._replace(attention=looked.attention).count_left
    assert (left.diff(dim=1)[0] < 0).all()
    assert left[1, 3] == left[1, 2]  # the point before it is missing


def test_every_parameter_learns(attention, inputs):
    """From the coords and done of all steps, with a missing point among them."""
    attention.train()
    steps = attention(*inputs)
    (steps.coords.sum() + steps.done_logits.sum() + steps.attention.logsumexp(-1).sum()).backward()
    still = [name for name, p in attention.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def test_a_missing_point_leaves_no_mark(inputs):
    torch.manual_seed(0)
    memory = WorkingMemory(8, 16, heads=2, layers=1, names=6)
    features, points, valid = inputs
    moved = points.clone()
    moved[1, 2] = 0.9
    torch.testing.assert_close(
        memory(features, points, valid)[1], memory(features, moved, valid)[1]
    )


@pytest.mark.parametrize("amp", [False, True], ids=["float32", "bfloat16"])
@torch.no_grad()
def test_coords_keep_their_precision_under_amp(amp):
    """A map that is one sharp peak gives that cell's coords, not some rounded to 8 bits."""
    torch.manual_seed(0)
    attention = SequentialAttention(8, width=16, heads=2, num_glimpses=1)
    torch.nn.init.zeros_(attention.offset_x[1].weight)
    torch.nn.init.zeros_(attention.offset_y[1].weight)
    attention.glimpses.append(attention.glimpses[0])
    attention.foveation.first_sigma = 1e-4
    features = torch.randn(1, 8, 47, 47)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=amp):
        steps = attention(features, torch.zeros(1, 1, 2), torch.ones(1, 1))
    coords = attention.scene(features).coords
    peak = coords[steps.attention.argmax(dim=-1)]
    torch.testing.assert_close(steps.coords, peak, rtol=0, atol=1e-6)


@pytest.mark.parametrize("options", [dict(num_glimpses=0), dict(width=10, heads=4)])
def test_sizes_that_do_not_fit_are_refused(options):
    with pytest.raises(ValueError, match="at least one glimpse and a width that is a multiple"):
        SequentialAttention(8, **options)
