from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equikpt.cli import options as declare
from equikpt.cli.options import Split, option, whole

if TYPE_CHECKING:
    import numpy as np
    from mmengine.config import Config

ENDS = ("GenerateTarget", "PackPoseInputs", "FastPackPoseInputs")
"""From the first of these on, samples are tensors for the model."""
ALBUMENTATIONS = "AlbumentationsV2"
CELL_PX = (320, 320)

Step = dict[str, Any]


@dataclass(frozen=True)
class BrowseOptions(declare.ReadsImages):
    """Draw what a config's pipeline makes of its data: points and augmentation, to look at."""

    config: str = declare.config_argument()
    data_root: str | None = declare.data_root()
    split: Split = option("part whose pipeline and images are taken", default="train")
    count: int = option("samples drawn", default=12, type=whole(1))
    each: bool = option("one training sample instead, after each augmentation alone", default=False)
    index: int = option("which sample --each takes", default=0, type=whole())
    seed: int = declare.seed("seed of the augmentation")
    out: Path | None = option(
        "sheet to write (default: work_dirs/browse_CONFIG.jpg)", metavar="FILE.jpg"
    )
    overwrite: bool = declare.overwrite()
    cfg_options: Sequence[str] | None = declare.cfg_options()


def main(argv: list[str] | None = None) -> int:
    """Draw the samples into one image; 0 when done."""
    options = declare.parse(BrowseOptions, argv)
    from equikpt.cli.launch import check_annotation_files, load_config, parse_options, set_data_root
    from equikpt.visualization.pose import contact_sheet
    from equikpt_runtime.drawing import check_image_name, write_image
    from equikpt_runtime.files import refuse_existing

    out = options.out or Path("work_dirs") / f"browse_{Path(options.config).resolve().stem}.jpg"
    check_image_name(str(out))
    refuse_existing(out, options.overwrite)
    cfg = load_config(options.config, parse_options(options.cfg_options))
    set_data_root(cfg, options.data_root)
    check_annotation_files(cfg, (options.split,))
    draw = _each_augmentation if options.each else _samples
    captions, images = zip(*draw(cfg, options), strict=True)
    write_image(out, contact_sheet(images, 4, captions, CELL_PX))
    print(f"written: {out}")
    return 0


def _samples(cfg: Config, options: BrowseOptions) -> Iterator[tuple[str, np.ndarray]]:
    """Caption and image of evenly spaced samples as the model would see them."""
    import numpy as np
    from tqdm import tqdm

    from equikpt.cli.launch import build_dataset

    dataset, steps = build_dataset(cfg, options.split), _drawable_steps(cfg, options.split)
    count = min(options.count, len(dataset))
    chosen = np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist()
    draw = _drawing(dataset, steps, options.seed)
    for index in tqdm(chosen, desc="drawing", unit="img", delay=5, disable=None):
        yield f"sample {index}", draw(index)


def _each_augmentation(cfg: Config, options: BrowseOptions) -> Iterator[tuple[str, np.ndarray]]:
    """One training sample without augmentation, and after each augmentation alone.

    Augmentations are the steps that training has and validation has not, each with probability 1,
    and those inside ``AlbumentationsV2`` one by one.
    """
    from equikpt.cli.launch import build_dataset

    dataset, steps = build_dataset(cfg, "train"), _drawable_steps(cfg, "train")
    plain = {step["type"] for step in _drawable_steps(cfg, "val")}
    for name, chosen, alone in [("as it is", None, {}), *_augmentations(steps, plain)]:
        pipeline = [
            alone if number == chosen else step
            for number, step in enumerate(steps)
            if step["type"] in plain or number == chosen
        ]
        yield name, _drawing(dataset, pipeline, options.seed)(options.index)


def _drawable_steps(cfg: Config, split: str) -> list[Step]:
    """The pipeline up to the targets: the result is an image with points."""
    from equikpt.core.pipelines import fill_codec

    dataset = cfg[f"{split}_dataloader"].dataset
    steps = fill_codec([dict(step) for step in dataset.pipeline], dataset.get("codec"))
    ends = (number for number, step in enumerate(steps) if step["type"] in ENDS)
    return steps[: next(ends, len(steps))]


def _augmentations(steps: Sequence[Step], plain: set[str]) -> Iterator[tuple[str, int, Step]]:
    """Name, number and step of each augmentation that certainly acts."""
    from mmpose.registry import TRANSFORMS

    for number, step in enumerate(steps):
        if step["type"] == ALBUMENTATIONS:
            for inner in _leaves(step["transforms"]):
                alone = dict(type=ALBUMENTATIONS, transforms=[{**inner, "p": 1.0}])
                yield inner["type"], number, alone
        elif step["type"] not in plain:
            names = inspect.signature(TRANSFORMS.get(step["type"]).__init__).parameters
            probabilities = {name: 1.0 for name in names if name.endswith("prob")}
            yield step["type"], number, {**step, **probabilities}


def _leaves(transforms: Sequence[Step]) -> Iterator[Step]:
    """Albumentations' transforms, those inside ``OneOf`` and its like one by one."""
    for step in transforms:
        if "transforms" in step:
            yield from _leaves(step["transforms"])
        else:
            yield step


def _drawing(dataset: Any, steps: Sequence[Step], seed: int):
    """Seed the augmentation, and return the function that draws a sample by its index."""
    import numpy as np
    from mmengine.dataset import Compose

    from equikpt.datasets.description import draw_sample

    pipeline = Compose(steps)
    np.random.seed(seed)  # noqa: NPY002 - the state that MMPose's transforms draw from

    def draw(index: int) -> np.ndarray:
        sample = pipeline(dataset.get_data_info(index))
        if sample is None:
            raise ValueError(
                "expected a sample from the pipeline, it dropped this one; look at another with "
                "--index"
            )
        return draw_sample(dataset, sample)

    return draw
