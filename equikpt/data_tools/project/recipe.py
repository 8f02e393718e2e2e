"""The recipe of a training, by rules, from the labels, the machine and the minutes.

=============  =====================================================================================
choice         rule
=============  =====================================================================================
network        no GPU: EfficientNet-Lite0, heatmaps of stride 8, ImageNet weights from a package. A
               GPU and AP-10K weights: HRNet-W32 or, where the minutes give it fewer than
               ``MIN_EPOCHS_HRNET`` epochs, RTMPose-m. A GPU alone: EfficientNet-Lite0
input          192 × 192 px, 256 × 256 with a GPU, 128 × 128 where the median box is smaller than
               ``SMALL_BOX_PX``; of about the same area, lying or upright (``SIDES_PX``), where the
               median box is more than ``OBLONG`` times as wide as high, or as high as wide
test input     of EfficientNet-Lite0, where square, a sixth larger than in training (``TEST_SCALE``)
batch          16, 8 below ``FEW`` training instances or ``SMALL_MEMORY`` of memory, and in a short
               training of EfficientNet-Lite0, which sees fewer than ``SHORT_SAMPLES`` samples
augmentation   mild in such a short training: smaller turns and sizes, no colours and no occlusion
frozen stages  of EfficientNet-Lite0 the stem and the first two, from ImageNet no loss and 0.7 of
               the time (benchmarks/README.md); of the others none
epochs         as many as the minutes give at the measured speed, at most ``MAX_EPOCHS``, or
               ``MAX_EPOCHS_FEW`` below ``FEW`` training instances
epoch          all instances, or as many as ``MAX_EPOCH_S`` seconds take
validation     ``VALIDATIONS`` times in all, fewer where that takes over ``MAX_VALIDATION``
=============  =====================================================================================
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from dataclasses import dataclass

from equikpt.core.issues import plural

EFFICIENTNET, HRNET, RTMPOSE = "td-hm_efficientnet-lite0", "td-hm_hrnet-w32", "rtmpose-m"
WEIGHTS = {HRNET: "hrnet_w32_ap10k", RTMPOSE: "rtmpose_m_ap10k"}
"""Released weights that the backbones start from, by their names in ``download_checkpoints``."""

ASSUMED_SPEED = 30.0
"""Training samples a second where they cannot be measured."""
VALIDATION_SPEED_UP = 1.5
"""Validation against training: no backward pass, but each image twice, mirrored."""
EPOCH_OVERHEAD_S = 2.0
"""Workers start anew each epoch."""
MAX_EPOCH_S = 60.0
MAX_EPOCHS, MAX_EPOCHS_FEW, MIN_EPOCHS = 300, 600, 3
MIN_EPOCHS_HRNET = 60
MIN_SAMPLES = 3000
"""Samples that a training should see; with fewer it has hardly left the mean pose."""
SHORT_SAMPLES = 5000
"""Samples of a training below which smaller steps and milder augmentation score better."""
VALIDATIONS = 25
MAX_VALIDATION = 0.15
"""Fraction of the minutes that validations may take."""
FEW = 50
SMALL_BOX_PX = 96.0
OBLONG = 1.5
SMALL_MEMORY = 4 * 2**30
BUSY = 0.3
"""Fraction of the CPU in other hands from which a speed says little about the idle machine."""
TEST_SCALE = 7 / 6
"""Sides of the crops that are tested and predicted over those that are trained on, of heatmaps by
EfficientNet-Lite0; benchmarks/README.md has figures.

Source: Touvron et al., 2019, https://arxiv.org/abs/1906.06423."""
STRIDE = 32
"""Sides of inputs are multiples of it, px."""
SIDES_PX = {128: (160, 96), 192: (256, 160), 256: (320, 192)}
"""Sides of a square input, and the longer and the shorter one of an oblong one in its place."""


@dataclass(frozen=True)
class DataFacts:
    """The labels in figures.

    Args:
        keypoints: K.
        instances: With a labelled point, of each split.
        box_px: Median longer side of a box.
        box_aspect: Median of width over height.
    """

    keypoints: int
    instances: dict[str, int]
    box_px: float
    box_aspect: float


@dataclass(frozen=True)
class MachineFacts:
    """The machine that trains.

    Args:
        cores: Of the CPU, that may be used.
        memory: Bytes.
        gpu: Its name, or ``""``.
        busy: Fraction of the CPU that other programs take.
    """

    cores: int
    memory: int
    gpu: str = ""
    busy: float = 0.0


MIN_GROUPS = 9
"""Groups of validation images from which a radius of 90 % can be told (conformal_quantile)."""


@dataclass(frozen=True)
class Choice:
    """A choice with its value and its reason in words."""

    name: str
    value: str
    reason: str


@dataclass(frozen=True)
class Recipe:
    """Numbers of a config.

    Args:
        network: ``EFFICIENTNET``, ``HRNET`` or ``RTMPOSE``.
        weights: Released weights of the backbone; empty for the packaged ones of ImageNet.
        input_size: Width and height of the crops that are trained on, px.
        test_size: Of those that are tested.
        batch: Samples a step.
        mild: Mild augmentation.
        workers: Processes that load images.
        epochs: In all.
        warm_up: Epochs of rising rate.
        samples: Of an epoch; None for all.
        val_interval: Epochs between two validations.
        minutes: That the training takes, estimated.
        choices: The same in words, with reasons.
    """

    network: str
    weights: str
    input_size: tuple[int, int]
    test_size: tuple[int, int]
    batch: int
    workers: int
    mild: bool = False
    epochs: int = 1
    warm_up: int = 1
    samples: int | None = None
    val_interval: int = 1
    minutes: float = 0.0
    choices: tuple[Choice, ...] = ()


Speed = Callable[[Recipe], float | None]
"""Training samples a second with a recipe, whatever its length; None where that is not known."""


def recommend(
    data: DataFacts,
    machine: MachineFacts,
    minutes: float,
    weights: Collection[str] = (),
    speed: Speed = lambda recipe: None,
) -> Recipe:
    """Choose a recipe by the table above.

    Args:
        data: The labels.
        machine: To train on.
        minutes: That the training may take.
        weights: Names of released weights that are there or can be fetched.
        speed: Measures the training.
    """
    size, input_choice = _input(data, bool(machine.gpu))
    batch, reason = _batch(data, machine)
    workers = min(8, max(2, machine.cores - 1)) if machine.gpu else 2

    @functools.cache
    def length(network: str) -> tuple[dict, tuple[Choice, ...]]:
        trial = Recipe(network, "", size, _test_size(network, size), batch, workers)
        return _length(data, minutes, speed(trial), machine.busy > BUSY)

    network, network_choice = _network(machine, minutes, weights, lambda n: length(n)[0]["epochs"])
    lengths, length_choices = length(network)
    efficient = network == EFFICIENTNET
    frozen = Choice(
        "frozen stages",
        "stem, 1 and 2" if efficient else "none",
        "from ImageNet no loss of accuracy, and a step takes 0.7 of the time"
        if efficient
        else "a GPU has the time",
    )
    start = Choice(
        "start",
        WEIGHTS.get(network, "ImageNet weights from a package"),
        "trained on animals of 54 species; the head starts anew, for its points are others"
        if network in WEIGHTS
        else "no download; from random weights 333 images gave less than a third of the AP",
    )
    seen = lengths["epochs"] * (lengths["samples"] or data.instances["train"])
    if (mild := efficient and seen < SHORT_SAMPLES) and batch == 16:
        batch, reason = 8, "smaller steps, for there are few"
    test_size = _test_size(network, size)
    test_choice = Choice(
        "test input",
        "{} × {} px".format(*test_size),
        "finer cells: 2 to 4 of 100 points more lie within 0.05 of the box"
        if efficient
        else "as trained on",
    )
    choices = (
        *(network_choice, start, frozen, input_choice, test_choice),
        *(_augmentation(mild, seen), Choice("batch", str(batch), reason), *length_choices),
    )
    weights_name = WEIGHTS.get(network, "")
    return Recipe(
        *(network, weights_name, size, test_size, batch, workers, mild), **lengths, choices=choices
    )


def _batch(data: DataFacts, machine: MachineFacts) -> tuple[int, str]:
    if data.instances["train"] < FEW:
        return 8, "few instances: more steps an epoch"
    if machine.memory < SMALL_MEMORY:
        return 8, f"{machine.memory / 2**30:.1f} GiB of memory"
    return 16, "as the rates were measured with"


def _augmentation(mild: bool, seen: int) -> Choice:
    if not mild:
        return Choice("augmentation", "full", "turns, sizes, colours and occlusion")
    return Choice("augmentation", "mild", f"with {seen:,} samples seen, more would cost accuracy")


def _test_size(network: str, size: tuple[int, int]) -> tuple[int, int]:
    if network != EFFICIENTNET or size[0] != size[1]:  # others are not measured
        return size
    side = STRIDE * round(TEST_SCALE * size[0] / STRIDE)
    return side, side


def _input(data: DataFacts, gpu: bool) -> tuple[tuple[int, int], Choice]:
    side = 128 if data.box_px < SMALL_BOX_PX else 256 if gpu else 192
    reason = f"the median box is {data.box_px:.0f} px long"
    if side == 128:
        reason += ": more than its own pixels shows nothing new"
    elif gpu:
        reason += "; a GPU has the time for 256 px"
    width, height = side, side
    if not 1 / OBLONG <= data.box_aspect <= OBLONG:
        longer, shorter = SIDES_PX[side]
        lying = data.box_aspect > 1
        width, height = (longer, shorter) if lying else (shorter, longer)
        ratio = data.box_aspect if lying else 1 / data.box_aspect
        reason += f", and {ratio:.1f} times as {'wide as high' if lying else 'high as wide'}"
    return (width, height), Choice("input", f"{width} × {height} px", reason)


def _network(
    machine: MachineFacts, minutes: float, weights: Collection[str], epochs_of: Callable[[str], int]
) -> tuple[str, Choice]:
    if not machine.gpu:
        reason = f"no GPU, {machine.cores} CPU cores: what these can train in minutes"
        return EFFICIENTNET, Choice("network", "EfficientNet-Lite0, heatmaps", reason)
    there = [name for name, file in WEIGHTS.items() if file in weights]
    if not there:
        reason = f"{machine.gpu}, but no weights of a larger network: none here, and no network"
        return EFFICIENTNET, Choice("network", "EfficientNet-Lite0, heatmaps", reason)
    reason = f"{machine.gpu}: no weights of HRNet-W32 are here"
    if HRNET in there:
        epochs = epochs_of(HRNET) if RTMPOSE in there else MIN_EPOCHS_HRNET
        if epochs >= MIN_EPOCHS_HRNET:
            reason = f"{machine.gpu}: the most accurate"
            return HRNET, Choice("network", "HRNet-W32, heatmaps", reason)
        reason = f"{machine.gpu}: HRNet-W32 would get through {epochs} epochs in {minutes:g} min"
    return RTMPOSE, Choice("network", "RTMPose-m", reason)


def _length(
    data: DataFacts, minutes: float, measured: float | None, is_busy: bool
) -> tuple[dict, tuple[Choice, ...]]:
    """Epochs, warm-up, samples an epoch, validation interval and minutes."""
    speed = measured or ASSUMED_SPEED
    train = data.instances["train"]
    samples = min(train, max(1, int(MAX_EPOCH_S * speed)))
    epoch_s = samples / speed + EPOCH_OVERHEAD_S
    val_s = data.instances.get("val", 0) / (speed * VALIDATION_SPEED_UP) + EPOCH_OVERHEAD_S
    validations = max(3, min(VALIDATIONS, int(MAX_VALIDATION * 60 * minutes / val_s)))
    possible = int((60 * minutes - validations * val_s) / epoch_s)
    most = MAX_EPOCHS_FEW if train < FEW else MAX_EPOCHS
    epochs = max(MIN_EPOCHS, min(most, possible))
    interval = max(1, -(-epochs // validations))
    takes = (epochs * epoch_s + epochs // interval * val_s) / 60
    how = "as measured" if measured else "assumed"
    if measured and is_busy:
        how += (
            " beside other programs; on the idle machine, init with --overwrite would choose more"
        )
    reason = f"what {minutes:g} minutes give at {speed:.3g} samples a second, {how}"
    if possible >= most:
        reason = f"more would hardly help; about {takes:.0f} of {minutes:g} minutes"
    elif epochs * samples < MIN_SAMPLES or possible < MIN_EPOCHS:
        needed = (MIN_SAMPLES / samples * epoch_s + validations * val_s) / 60
        reason += f"; these are few, and --minutes {max(needed, minutes + 1):.0f} would help"
    choices = [Choice("epochs", str(epochs), reason)]
    if samples < train:
        text = f"{epochs * samples / train:.1f} times all {train} instances in all"
        choices.append(Choice("epoch", f"{samples} instances, drawn anew", text))
    choices.append(
        Choice(
            "validation",
            "every epoch" if interval == 1 else f"every {interval} epochs",
            f"{epochs // interval} times in all",
        )
    )
    length = dict(
        epochs=epochs,
        warm_up=min(3, max(1, epochs // 5)),
        samples=samples if samples < train else None,
        val_interval=interval,
        minutes=takes,
    )
    return length, tuple(choices)


def groups_choice(count: int) -> Choice:
    """Fitting of radii to so many groups of the validation images."""
    reason = "images of one group resemble each other: radii are fitted to whole groups (group_key)"
    if count < MIN_GROUPS:
        reason += f"; a radius of 90 % needs {MIN_GROUPS} of them, and fewer give smaller levels"
    return Choice("groups", f"{plural(count, 'group')} in val", reason)
