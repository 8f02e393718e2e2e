r"""Left–right inversions of a model by view, and what several ways of decoding make of them.

    python benchmarks/inversions.py my_project [--checkpoint FILE] [--split val] \
        [--group-regex '([^/]+)\.rf\.'] [--blur 11 7 3]

The heatmaps of the plain and of the mirrored pass are computed once and kept under --out. `average`
is how a flip test reads them. All other ways choose another peak of the same maps:

- `surer pass`: where the passes contradict each other, a pair is read from the one with the larger
  product of its two maxima;
- `pairs`: `separate_pairs.py` beside this file;
- `products`: always different peaks if both maps offer such, those with the largest product;
- `products, each pass`: the same by the mean over the passes of each one's product;
- `limbs`: the same for all pairs of a limb at once (max-sum over the chain of its links, exact),
  with length and direction of its bones, and how left and right lie to each other from joint to
  joint, as in the labels of the training images, at two weights.

Half of the groups, drawn by seed 0, is what settings may be chosen on (`a`); the other half is `b`.
Differences from `average` are of the same bootstrap samples, which draw whole groups.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from separate_pairs import REACH_SIGMAS, highest, keep_peak, local_maxima, separate_pairs
from tqdm import tqdm

from equikpt.core.groups import GroupRule
from equikpt.evaluation.functional import (
    bootstrap,
    box_side_px,
    cluster_numbers,
    distances_px,
    inversion_table,
    left_right_inversions,
    left_right_pairs,
    pck_hits,
    percentile_interval,
    views_of,
)
from equikpt.evaluation.functional.keypoint_measures import format_table

BATCH = 16
MIN_PEAK = 0.3
"""Height of a peak that `products` and `limbs` choose, as a fraction of its map's highest."""
WEIGHTS = (0.3, 1.0)
"""Weights of the statistics of limbs against the logarithms of heights."""
MAX_PENALTY = 3.0
"""Greatest penalty of one bone: a pose that no label has is not impossible."""


class Maps(NamedTuple):
    """Heatmaps of N instances, both passes (N, K, H, W), and the shape of limbs."""

    plain: np.ndarray
    mirrored: np.ndarray
    swap: Sequence[int]
    sigma: float
    cell: np.ndarray
    """(N,) size of a cell as a fraction of the box's longer side."""
    limbs: Sequence[Sequence[int]] = ()
    """Chains of left keypoints that are linked, as their partners are."""
    bones: dict = {}
    """From two linked left keypoints to statistics of :func:`bone_statistics`."""

    @property
    def average(self) -> np.ndarray:
        """Heatmaps of a flip test."""
        return (self.plain + self.mirrored) / 2

    @property
    def reach(self) -> float:
        """Distance in cells up to which two peaks are one place."""
        return REACH_SIGMAS * self.sigma


def surer_pass(maps: Maps) -> np.ndarray:
    """Maps of the surer pass for pairs whose passes contradict each other."""
    chosen = maps.average
    for left, right in _pairs(maps.swap):
        both = [left, right]
        for n in range(len(chosen)):
            tops = [each[n, both].reshape(2, -1) for each in (maps.plain, maps.mirrored)]
            width = chosen.shape[-1]
            cells = [np.stack(np.divmod(each.argmax(axis=1), width), axis=-1) for each in tops]
            if (np.linalg.norm(cells[0] - cells[1], axis=-1) > maps.reach).any():
                sure = max((0, 1), key=lambda index: tops[index].max(axis=1).prod())
                chosen[n, both] = (maps.plain, maps.mirrored)[sure][n, both]
    return chosen


def limbs(maps: Maps, weight: float, passes: bool = False) -> np.ndarray:
    """Peaks of all pairs of a limb at once; with weight 0 each pair is on its own."""
    average = maps.average
    read = average.copy()
    chains = maps.limbs if weight else [[left] for left, _ in _pairs(maps.swap)]
    for n in range(len(average)):
        for chain in chains:
            states = [_states(maps, average[n], n, left, passes) for left in chain]
            for left, cells in zip(chain, _best(maps, n, chain, states, weight), strict=True):
                for index, cell in zip((left, maps.swap[left]), cells.tolist(), strict=True):
                    read[n, index] = keep_peak(average[n, index], tuple(cell))
    return read


def _pairs(swap: Sequence[int]) -> list[tuple[int, int]]:
    return [(first, second) for first, second in enumerate(swap) if first < second]


def _high_peaks(heatmap: np.ndarray) -> np.ndarray:
    """(P, 2) peaks of at least ``MIN_PEAK``; the highest cell of a map that has none."""
    peaks = local_maxima(heatmap)
    high = peaks[heatmap[tuple(peaks.T)] >= MIN_PEAK * heatmap.max()]
    return high if len(high) else np.array([highest(heatmap)])


def _states(
    maps: Maps, average: np.ndarray, n: int, left: int, passes: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Cells (S, 2, 2) of left and right peaks that are apart, if any are, and their values (S,)."""
    both = [left, maps.swap[left]]
    peaks = [_high_peaks(average[k]) for k in both]
    first, second = (grid.ravel() for grid in np.indices((len(peaks[0]), len(peaks[1]))))
    cells = np.stack([peaks[0][first], peaks[1][second]], axis=1)
    read = (maps.plain[n], maps.mirrored[n]) if passes else (average,)
    rows, columns = np.moveaxis(cells, -1, 0)  # (S, 2) each
    values = np.mean([each[both, rows, columns].prod(axis=1) for each in read], axis=0)
    apart = np.linalg.norm(cells[:, 0] - cells[:, 1], axis=-1) > maps.reach
    if apart.any():
        cells, values = cells[apart], values[apart]
    return cells, np.log(np.maximum(values, 1e-9))


def _best(
    maps: Maps, n: int, chain: Sequence[int], states: Sequence[tuple], weight: float
) -> list[np.ndarray]:
    """Cells (2, 2) of each pair of a chain by the max-sum algorithm."""
    score, back = states[0][1], []
    for i in range(1, len(chain)):
        before, now = (states[j][0][..., ::-1] * maps.cell[n] for j in (i - 1, i))  # x, y
        bone = maps.bones[chain[i - 1], chain[i]]
        joined = score[:, None] + weight * bone_score(bone, before[:, None], now[None])
        back.append(joined.argmax(axis=0))
        score = joined.max(axis=0) + states[i][1]
    index = int(score.argmax())
    found = [states[-1][0][index]]
    for i in range(len(chain) - 1, 0, -1):
        index = int(back[i - 1][index])
        found.append(states[i - 1][0][index])
    return found[::-1]


def bone_score(bone: dict, before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Logarithm of how usual two pairs (…, 2, 2) are, left and right, as fractions of the box."""
    z = (now - before - bone["mean"]) / bone["std"]
    lengths = np.maximum(-0.5 * (z**2).sum(axis=-1), -MAX_PENALTY).sum(axis=-1)
    step = (now[..., 0, :] - now[..., 1, :]) - bone["slope"] * (
        before[..., 0, :] - before[..., 1, :]
    )
    return lengths + np.maximum(-0.5 * ((step / bone["rest"]) ** 2).sum(axis=-1), -MAX_PENALTY)


def bone_statistics(
    gt: np.ndarray, visibility: np.ndarray, side_px: np.ndarray, swap: Sequence[int], chains
) -> dict:
    """Collect of each bone what labelled poses and their mirror images show.

    ``mean`` and ``std`` (2,) from joint to joint, ``slope`` (2,) of left minus right at the second
    joint on that at the first, and ``rest`` (2,) what it leaves.
    """
    poses, found = gt / side_px[:, None, None], {}
    for chain in chains:
        for first, second in zip(chain, chain[1:], strict=False):
            four = [first, swap[first], second, swap[second]]
            known = (visibility[:, four] > 0).all(axis=1)
            bone = (poses[known][:, four[2:]] - poses[known][:, four[:2]]).reshape(-1, 2)
            bone = np.concatenate([bone, bone * [-1, 1]])
            before, now = (poses[known][:, a] - poses[known][:, b] for a, b in (four[:2], four[2:]))
            slope = (before * now).sum(axis=0) / (before**2).sum(axis=0)
            rest = np.sqrt(((now - slope * before) ** 2).mean(axis=0))
            found[first, second] = dict(
                mean=bone.mean(axis=0), std=bone.std(axis=0), slope=slope, rest=rest
            )
    return found


def chains_of(
    links: Sequence[tuple[int, int]], swap: Sequence[int], labelled: Sequence[bool] | None = None
) -> list[list[int]]:
    """Chains of the lower indices of pairs that are linked on both sides, longest first.

    What is not labelled is left out, and those before and behind it follow on each other.
    """
    known = {frozenset(link) for link in links}
    lower = {min(pair): pair for pair in _pairs(swap)}
    neighbours = {
        a: [b for b in lower if frozenset((a, b)) in known
            and frozenset((swap[a], swap[b])) in known]
        for a in lower
    }  # fmt: skip
    chains, left = [], set(lower)
    for start in sorted(lower, key=lambda index: len(neighbours[index])):
        chain = [start] if start in left else []
        left -= {start}
        while chain and (further := [each for each in neighbours[chain[-1]] if each in left]):
            chain.append(further[0])
            left -= {further[0]}
        chain = [index for index in chain if labelled is None or labelled[index]]
        chains += [chain] if chain else []
    return sorted(chains, key=len, reverse=True)


WAYS: dict[str, Callable[[Maps], np.ndarray]] = {
    "average": lambda maps: maps.average,
    "plain pass": lambda maps: maps.plain,
    "surer pass": surer_pass,
    "pairs": lambda maps: np.stack(
        [separate_pairs(each, maps.swap, maps.reach) for each in maps.average]
    ),
    "products": lambda maps: limbs(maps, 0.0),
    "products, each pass": lambda maps: limbs(maps, 0.0, passes=True),
    **{f"limbs, {weight:g}": lambda maps, w=weight: limbs(maps, w) for weight in WEIGHTS},
}


def read_maps(args: argparse.Namespace) -> dict[str, np.ndarray]:
    """Heatmaps of both passes and what the data set says of each instance; kept as NPZ."""
    import torch
    from mmengine.dataset import pseudo_collate
    from mmpose.models.utils.tta import flip_heatmaps
    from mmpose.registry import DATASETS

    from equikpt.apis.predictor import TARGETS, BoxPredictor
    from equikpt.config_checks.options import load_config

    cfg = load_config(args.project)
    predictor = BoxPredictor(cfg, args.checkpoint)
    dataset = cfg.test_dataloader.dataset
    dataset.update(ann_file=f"annotations/{args.split}.json", test_mode=True)
    dataset.data_prefix = dict(img=f"images/{args.split}/")
    dataset.pipeline = [step for step in dataset.pipeline if step["type"] not in TARGETS]
    images, model = DATASETS.build(dataset), predictor.model
    found: dict[str, list] = {key: [] for key in ("plain", "mirrored")}
    rows = []
    for start in tqdm(range(0, len(images), BATCH), "heatmaps", unit="batch"):
        part = [images[i] for i in range(start, min(start + BATCH, len(images)))]
        with torch.no_grad():
            batch = model.data_preprocessor(pseudo_collate(part), False)
            inputs, samples = batch["inputs"], batch["data_samples"]
            swap = samples[0].metainfo["flip_indices"]
            plain, mirrored = (
                model.head.forward(model.extract_feat(each)) for each in (inputs, inputs.flip(-1))
            )
            mirrored = flip_heatmaps(mirrored, flip_indices=swap, shift_heatmap=False)
        found["plain"].append(plain.float().numpy())
        found["mirrored"].append(mirrored.float().numpy())
        for sample in samples:
            info, annotation = sample.metainfo, sample.metainfo["raw_ann_info"]
            rows.append(
                dict(
                    keypoints=np.reshape(annotation["keypoints"], (-1, 3)).astype(float),
                    box=np.asarray(annotation["bbox"], float),
                    center=info["input_center"],
                    scale=info["input_scale"],
                    image=Path(info["img_path"]).as_posix(),
                )
            )
    arrays = {key: np.concatenate(each) for key, each in found.items()}
    return arrays | {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def evaluate(coords: np.ndarray, data: dict, swap: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """(N, K) inversions, and (2, N, K) hits of PCK@0.05 and 0.1."""
    gt, visibility = data["keypoints"][..., :2], data["keypoints"][..., 2]
    side_px = box_side_px(data["box"])
    inverted = left_right_inversions(coords, gt, visibility, side_px, swap)
    distance_px = distances_px(coords, gt, visibility)
    return inverted, np.stack([pck_hits(distance_px, side_px, t) for t in (0.05, 0.1)])


def means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B, M) means of (M, N, K) values over labelled points, with weights (B, N)."""
    counts = np.isfinite(values).sum(axis=2).T
    return (weights @ np.nansum(values, axis=2).T) / np.maximum(weights @ counts, 1)


def compare(found: dict[str, np.ndarray], clusters: np.ndarray, half: np.ndarray) -> pd.DataFrame:
    """A row a way: (3, N, K) inversions and hits, in halves and in all, and against the first."""
    first, rows = next(iter(found.values())), []
    for name, values in found.items():
        row = dict(way=name)
        for part, chosen in (("a", half), ("b", ~half), ("all", np.ones(len(half), bool))):
            rates = means(values[:, chosen], np.ones((1, chosen.sum())))[0]
            row |= {f"inversions {part}": rates[0], f"PCK@0.05 {part}": rates[1]}
            row |= {"PCK@0.1 all": rates[2]} if part == "all" else {}
        drawn = bootstrap(
            lambda weights, values=values: means(values, weights) - means(first, weights), clusters
        )
        low, high = percentile_interval(drawn)
        for index, measure in enumerate(("inversions", "PCK@0.05")):
            row[f"Δ {measure}"] = f"{low[index]:+.3f} to {high[index]:+.3f}"
        rows.append(row)
    return pd.DataFrame(rows)


def half_of(groups: Sequence[str]) -> np.ndarray:
    """(N,) bool: half of the groups, drawn by seed 0."""
    numbers = cluster_numbers(groups)
    order = np.random.default_rng(0).permutation(numbers.max() + 1)
    return np.isin(numbers, order[: len(order) // 2])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("--checkpoint", type=Path, help="default: the project's best")
    parser.add_argument("--split", default="val")
    parser.add_argument("--group-regex", default="", help="what the bootstrap draws as a whole")
    parser.add_argument(
        "--blur", type=int, nargs="+", default=[11], help="of the refinement, cells"
    )
    parser.add_argument("--out", type=Path, default=Path("work_dirs/inversions"))
    args = parser.parse_args(argv)
    from mmengine.registry import init_default_scope
    from mmpose.registry import KEYPOINT_CODECS

    from equikpt.apis.predictor import metainfo_of
    from equikpt.config_checks.options import load_config

    cfg = load_config(args.project)
    init_default_scope("mmpose")
    meta = metainfo_of(cfg)
    name = f"{args.project.name}_{(args.checkpoint or Path('best')).stem}_{args.split}.npz"
    if not (args.out / name).is_file():
        args.out.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(args.out / name, **read_maps(args))
    data = dict(np.load(args.out / name))
    swap, names = list(meta["flip_indices"]), meta["keypoint_id2name"]
    codec = KEYPOINT_CODECS.build(cfg.model.head.decoder)
    train = labels_of(Path(cfg.train_dataloader.dataset.data_root) / "annotations/train.json")
    chains = chains_of(meta["skeleton_links"], swap, (train[0][..., 2] > 0).any(axis=0))
    bones = bone_statistics(train[0][..., :2], train[0][..., 2], train[1], swap, chains)
    cell_px = data["scale"][:, 0] / (codec.heatmap_size[0] - 1)
    maps = Maps(data["plain"], data["mirrored"], swap, codec.sigma,
                cell_px / box_side_px(data["box"]), chains, bones)  # fmt: skip
    groups = [GroupRule(regex=args.group_regex).group(image, {}) for image in data["image"]]
    clusters, half = cluster_numbers(groups), half_of(groups)
    print("limbs: " + "; ".join(" – ".join(names[k] for k in chain) for chain in chains))
    ordered = [names[index] for index in range(len(swap))]
    pairs = left_right_pairs(ordered, swap)
    views = views_of(data["keypoints"][..., :2], data["keypoints"][..., 2], pairs)
    found = {}
    for blur in args.blur:
        codec.blur_kernel_size = blur
        for way, read in WAYS.items():
            points_px = np.stack([codec.decode(each)[0][0] for each in read(maps)])
            inverted, hits = evaluate(to_image(points_px, data, codec), data, swap)
            found[f"{way}, blur {blur}"] = np.stack([inverted, *hits])
            if way in ("average", "pairs"):
                table = inversion_table(inverted, views, clusters, 1000)
                print(f"\n{way}, blur {blur}\n{format_table(table)}")
    print("\n" + compare(found, clusters, half).to_string(index=False, float_format="%.4f"))
    return 0


def to_image(points_px: np.ndarray, data: dict, codec) -> np.ndarray:
    """Points (N, K, 2), px of the input, in px of the image."""
    fraction = points_px / np.asarray(codec.input_size)
    return fraction * data["scale"][:, None] + (data["center"] - data["scale"] / 2)[:, None]


def labels_of(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (N, K, 3) of an annotation file, and the longer side (N,) of their boxes, px."""
    annotations = json.loads(path.read_text(encoding="utf-8"))["annotations"]
    keypoints = np.array([each["keypoints"] for each in annotations], float)
    boxes = np.array([each["bbox"] for each in annotations], float)
    return keypoints.reshape(len(annotations), -1, 3), box_side_px(boxes)


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
