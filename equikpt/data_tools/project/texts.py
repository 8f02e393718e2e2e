"""Texts of a project: its config and its README."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from equikpt.data_tools.project.recipe import EFFICIENTNET, HRNET, RTMPOSE, Recipe

BASES = {
    EFFICIENTNET: "_base_/projects/efficientnet_heatmap",
    HRNET: "_base_/projects/hrnet_w32",
    RTMPOSE: "_base_/projects/rtmpose_m",
}
"""Config that a project inherits, by network."""

CODECS = {
    EFFICIENTNET: "heatmap_size=({w8}, {h8})",
    HRNET: "heatmap_size=({w4}, {h4})",
    RTMPOSE: "",
}
"""Arguments of a codec beside its input size, in cells of 8 or 4 px."""


METRICS = """
# Images of one group resemble each other: radii are fitted to whole groups, as are intervals.
grouped = dict(group_key="{}")
val_evaluator = [
    dict(type="CocoMetric"),
    dict(type="KeypointMetric", **grouped),
    dict(type="VisibilityMetric"),
]
test_evaluator = [*val_evaluator, dict(type="InversionMetric", **grouped)]
"""


def _sizes(recipe: Recipe, size: tuple[int, int]) -> str:
    """Arguments of a codec for crops of a size."""
    width, height = size
    sizes = dict(w8=width // 8, h8=height // 8, w4=width // 4, h4=height // 4)
    return ", ".join(filter(None, [f"input_size={size}", CODECS[recipe.network].format(**sizes)]))


def config_text(name: str, num_keypoints: int, recipe: Recipe, group_key: str = "") -> str:
    """Write the config of a project, which finds its parts beside itself wherever it lies.

    Args:
        name: Of the keypoint set.
        num_keypoints: K.
        recipe: Its numbers.
        group_key: Key of the annotations that names the group of their image; empty for none.
    """
    width, height = recipe.test_size
    smaller, changes = "", []
    if recipe.input_size != recipe.test_size:
        smaller = f"train_codec = dict(codec, {_sizes(recipe, recipe.input_size)})\n"
        changes.append("codec=train_codec")
    if recipe.mild:
        changes.append("pipeline=_base_.mild_pipeline")
    trained = f"dict({', '.join(['dataset', *changes])})" if changes else "dataset"
    head = f"out_channels={num_keypoints}, decoder=codec"
    if recipe.network == RTMPOSE:
        head += f", input_size=({width}, {height})"
        head += f", in_featuremap_size=({width // 32}, {height // 32})"
    model = f"model = dict(head=dict({head}))"
    if recipe.weights:
        model = f"""
weights = dict(type="Pretrained", checkpoint="zoo://{recipe.weights}", prefix="backbone.")
model = dict(
    backbone=dict(init_cfg=weights),
    head=dict({head}),
)""".lstrip()
    load = f"batch_size={recipe.batch}, num_workers={recipe.workers}, dataset={trained}"
    if recipe.samples or recipe.mild:
        load = load.replace(", dataset=", ",\n    dataset=").join(["\n    ", ",\n"])
    if recipe.samples:
        sampler = f'type="CappedSampler", max_samples={recipe.samples}, shuffle=True'
        load += f"    sampler=dict({sampler}),\n"
    return f'''"""{name}: {num_keypoints} keypoints. README.md has the reason of each number."""

_base_ = __import__("equikpt").config_file("{BASES[recipe.network]}")

folder = "{{{{ fileDirname }}}}"
work_dir = f"{{folder}}/work_dir"

epochs, interval = {recipe.epochs}, {recipe.val_interval}
train_cfg = dict(max_epochs=epochs, val_interval=interval)
param_scheduler = [
    dict(_base_.warm_up, end={recipe.warm_up}),
    dict(_base_.cosine, begin=epochs // 2, end=epochs),
]
default_hooks = dict(checkpoint=dict(interval=interval), images=dict(interval=interval))

codec = dict(_base_.codec, {_sizes(recipe, recipe.test_size)})
{smaller}{model}
dataset = dict(
    data_root=f"{{folder}}/data/", metainfo=dict(from_file=f"{{folder}}/keypoints.py"), codec=codec
)
train_dataloader = dict({load})
val_dataloader = test_dataloader = dict(dataset=dataset)
{METRICS.format(group_key) if group_key else ""}'''


SIGMAS = """The sigmas in `keypoints.py` say how exactly people click each point. They are {} and AP
depends on them; errors in px and PCK do not.{}"""
MEASURED = SIGMAS.format("measured,", "")
GUESSED = SIGMAS.format(
    "a guess,",
    """ Two annotations of the same images measure them:
`equikpt estimate_sigmas --double A.json B.json --write keypoints.py`.""",
)


def readme_text(
    name: str,
    choices: Sequence[Sequence[str]],
    said: Mapping[str, Sequence[str]],
    has_test: bool,
    has_measured_sigmas: bool = False,
) -> str:
    """Write the README of a project.

    Args:
        name: Of the keypoint set.
        choices: Name, value and reason of each number of the config.
        said: What each step said, by its title.
        has_test: There is a part to test on.
        has_measured_sigmas: Those of the keypoint set are no guess.
    """
    rows = "\n".join(f"| {' | '.join(choice)} |" for choice in choices)
    steps = "\n\n".join(
        f"### {title.capitalize()}\n\n" + "\n".join(f"- {line}" for line in lines)
        for title, lines in said.items()
    )
    tested = "test images" if has_test else "val images, for there are no test images"
    return f"""# {name}

In this folder:

```
equikpt train .     # work_dir/best.pth and last.pth; --resume goes on after a stop
equikpt test .      # accuracy on the {tested}
equikpt report .    # a page: curves, accuracy of each keypoint, the worst images
equikpt visualize --config . --img new.jpg --out pose.jpg    # a new image
```

The network sees one box at a time. A new image is taken as one box; where the animal does not fill
it, `--box LEFT TOP RIGHT BOTTOM` in px, `--ann-file` or `--detector` say where it is.

Look at `keypoints.png` first: the keypoint set on the mean pose, left and right in two colours.
To correct it, edit `keypoints.py`; `equikpt init . --overwrite` then draws it anew and keeps what
was edited. `config.py` is a config of MMPose, which its own tools read too.

{MEASURED if has_measured_sigmas else GUESSED}

## Choices in config.py

| | | why |
| --- | --- | --- |
{rows}

## Where it comes from

{steps}
"""


def set_name(text: str) -> str:
    """A name for a keypoint set: letters, digits and lines of the text."""
    return re.sub(r"\W+", "_", text).strip("_").lower() or "keypoints"
