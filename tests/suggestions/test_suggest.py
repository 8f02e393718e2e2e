import json

import numpy as np
import pytest

from equikpt.data_tools.near_duplicates import Fingerprint, fingerprint
from equikpt.suggestions.candidates import Candidate
from equikpt.suggestions.collecting import Chunks, Collection
from equikpt.suggestions.evidence import Evidence
from equikpt.suggestions.labelled import Labelled
from equikpt.suggestions.suggest import choose_images

NAMES = ("a", "b", "c")
LINKS = np.array([[0, 1], [1, 2]])


def evidence(count: int, **given) -> Evidence:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(count, 6))
    plain = dict(
        keypoints=np.tile([[0.0, 0], [10, 0], [20, 0]], (count, 1, 1)),
        scores=np.full((count, 3), 0.5),
        visibility=np.full((count, 3), 2),
        **dict.fromkeys(
            ("uncertainty", "mirror", "checkpoints", "novelty", "jump"), np.zeros(count)
        ),
        features=features / np.linalg.norm(features, axis=1, keepdims=True),
    )
    return Evidence(**{**plain, **given})


def prints(count: int, seed: int = 1) -> list[Fingerprint]:
    rng = np.random.default_rng(seed)
    return [fingerprint(rng.integers(0, 256, (64, 64), dtype=np.uint8)) for _ in range(count)]


def collection(count: int = 6, **given) -> Collection:
    return Collection(
        [Candidate("x", f"{index}.png") for index in range(count)],
        prints(count),
        [],
        np.arange(count),
        np.tile([0.0, 0, 40, 40], (count, 1)),
        evidence(count, **given),
    )


def labelled(fingerprints=(), longest=(0.5, 0.5)) -> Labelled:
    return Labelled(np.eye(6)[:1], list(fingerprints), LINKS, np.array(longest))


def test_the_reason_is_the_strongest_criterion():
    mirror = np.array([0, 0, 0, 0.4, 0, 0])
    chosen, line = choose_images(collection(mirror=mirror), labelled(), NAMES, 1)
    (only,) = chosen
    assert (only.index, only.reason, only.detail) == (3, "mirror", " by 0.40 boxes")
    assert only.criteria["mirror"] == 0.4
    assert line.startswith("1 of 6 images")


def test_a_limb_longer_than_any_labelled_one_is_named():
    keypoints = evidence(6).keypoints.copy()
    keypoints[2, 2] = 80, 0  # 70 px, and 0.5 of the box's side is 20
    chosen, _ = choose_images(collection(keypoints=keypoints), labelled(), NAMES, 1)
    assert (chosen[0].index, chosen[0].detail) == (2, " b-c 3.5x")


def test_a_limb_of_an_absent_point_does_not_count():
    keypoints, visibility = evidence(6).keypoints.copy(), np.full((6, 3), 2)
    keypoints[2, 2], visibility[2, 2] = (80, 0), 0
    stretch, _ = labelled().stretch(keypoints, visibility, np.full(6, 40.0))
    np.testing.assert_allclose(stretch, 1)


def test_labelled_images_and_second_copies_are_not_chosen():
    first = collection()
    twice = [*first.fingerprints[:5], first.fingerprints[1]]
    given = Collection(**{**vars(first), "fingerprints": twice})
    chosen, line = choose_images(given, labelled(first.fingerprints[:1]), NAMES, 6)
    found = {each.index for each in chosen}
    assert 0 not in found
    assert len(found & {1, 5}) == 1
    assert len(found) == 4
    assert "1 are nearly the same as labelled" in line
    with pytest.raises(ValueError, match="not labelled yet"):
        choose_images(given, labelled(twice), NAMES, 6)


def test_an_image_of_two_animals_is_chosen_once():
    given = collection()
    two = Collection(**{**vars(given), "owners": np.array([0, 0, 1, 1, 2, 2])})
    chosen, _ = choose_images(two, labelled(), NAMES, 6)
    assert sorted(each.index for each in chosen) == [0, 1, 2]


def test_chunks_are_read_back_and_know_their_settings(tmp_path):
    chunks, part = Chunks(tmp_path, dict(a=1)), collection()
    chunks.save(0, part)
    (again,) = Chunks(tmp_path, dict(a=1)).load()
    assert [each.name for each in again.candidates] == [each.name for each in part.candidates]
    assert again.fingerprints[3][:2] == part.fingerprints[3][:2]
    np.testing.assert_array_equal(again.told.features, part.told.features)
    with pytest.raises(FileExistsError, match="--overwrite"):
        Chunks(tmp_path, dict(a=2))
    assert json.loads((tmp_path / "settings.json").read_text()) == dict(a=1)


def test_chunks_join_with_their_owners_moved():
    nothing = Collection([], [], ["b.png: damaged"], np.zeros(0, int), np.zeros((0, 4)), None)
    joined = Collection.join([collection(2), nothing, collection(3)])
    assert joined.owners.tolist() == [0, 1, 2, 3, 4]
    assert len(joined.told) == 5
    assert joined.problems == ["b.png: damaged"]
    with pytest.raises(ValueError, match="the detector found none"):
        _ = nothing.told
