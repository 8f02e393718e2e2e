"""A metric gives the same values on one rank and on two, between which the samples are dealt."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch.distributed
from mmpose.registry import METRICS

import equikpt.register  # noqa: F401 - the metrics

NAMES = sorted(
    name for name, each in METRICS.module_dict.items() if each.__module__.startswith("equikpt")
)
META = dict(keypoint_id2name={0: "p1", 1: "p2"}, sigmas=[0.1, 0.1], flip_indices=[1, 0])
COUNT = 5  # odd: the sampler gives the second rank the first sample once more


def sample(number: int) -> dict:
    """Two points near two others, with everything that a metric reads.

    Of sample 1 one is unlabelled, and those of sample 3 are at each other's place.
    """
    rng = np.random.default_rng(number)
    gt = rng.uniform(20, 80, (2, 2))
    predicted = gt[::-1] if number == 3 else gt
    return dict(
        img_path=f"{number}.png",
        input_size=(100, 100),
        input_scale=np.array([100.0, 100.0]),
        raw_ann_info=dict(
            keypoints=np.column_stack([gt, [2, 0 if number == 1 else 2]]).ravel().tolist(),
            bbox=[0.0, 0.0, 100.0, 100.0],
            area=5000.0,
        ),
        pred_instances=dict(
            keypoints=(predicted + rng.normal(0, 4, (2, 2)))[None],
            keypoint_scores=rng.random((1, 2)),
            keypoint_spread=rng.uniform(1, 5, (1, 2)),
            labels=np.arange(2),
            done_probability=rng.random((1, 3)),
            over_probability=np.sort(rng.random((1, 4))),
        ),
    )


def values(numbers: list[int], size: int) -> str:
    """Values of every metric over this rank's samples, as JSON."""
    found = {}
    for name in NAMES:
        metric = METRICS.build(dict(type=name))
        metric.dataset_meta = META
        metric.process({}, [sample(number) for number in numbers])
        found[name] = metric.evaluate(size)
    return json.dumps(found)


def run_rank(folder: Path, rank: int) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    dealt = [number % COUNT for number in range(rank, COUNT + 1, 2)]
    (folder / f"{rank}.json").write_text(values(dealt, COUNT))


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, __file__, str(folder)]
    ranks = [subprocess.Popen([*command, str(rank)]) for rank in range(2)]
    assert [each.wait(timeout=120) for each in ranks] == [0, 0]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_ranks_give_what_one_gives(two_ranks, name):
    alone = json.loads(values(list(range(COUNT)), COUNT))[name]
    assert two_ranks[0][name] == two_ranks[1][name] == alone
    half = json.loads(values([0, 2, 4], 3))[name]
    assert half != alone


if __name__ == "__main__":
    run_rank(Path(sys.argv[1]), int(sys.argv[2]))
