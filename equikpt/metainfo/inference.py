"""A keypoint set from names and labelled poses: swaps, skeleton, halves and a guess of sigmas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

from equikpt.metainfo import coco17, horse26
from equikpt.metainfo.flip_check import (
    LabelledPoses,
    Pair,
    likely_pairs,
    partners,
    with_confirmed,
    without_contradicted,
)
from equikpt.metainfo.keypoint_set_file import SIGMAS_SOURCE
from equikpt.metainfo.schema import Keypoint, Link, build_metainfo, side_beside
from equikpt.metainfo.shape import halves, mean_pose, spanning_links
from equikpt.metainfo.sides import pairs_by_name, stem_of


class InferredKeypointSet(NamedTuple):
    """A keypoint set as it can be read off labels.

    Args:
        metainfo: In MMPose's form, with ``sigmas_source``, as sigmas are a guess.
        notes: Sentences for the user: what was decided, and what to look at.
    """

    metainfo: dict
    notes: tuple[str, ...]


def infer_keypoint_set(
    name: str,
    names: Sequence[str],
    poses: np.ndarray,
    links: Iterable[tuple[str, str]] = (),
    flip_pairs: Iterable[tuple[str, str]] | None = None,
) -> InferredKeypointSet:
    """Infer a keypoint set from names and labels.

    Points swap as ``flip_pairs`` or their names say, unless the labels contradict; then a note says
    so. Without links the skeleton joins points whose distances are short and vary little.

    Args:
        name: Of the set.
        names: K names in the order of the file format.
        poses: (N, K, 3) x and y in px of the image and COCO's visibility, N may be 0.
        links: Lines of the skeleton by names.
        flip_pairs: Names of the points that swap, where the source states them.

    Raises:
        ValueError: Poses are not (N, K, 3), names repeat, or links or pairs name no keypoints.

    >>> poses = [[[5, 9, 2], [3, 2, 2], [7, 2, 2]], [[6, 8, 2], [3, 1, 2], [8, 2, 1]]]
    >>> found = infer_keypoint_set("cat", ["Nase", "Ohr links", "Ohr rechts"], poses)
    >>> [(row["name"], row["swap"]) for row in found.metainfo["keypoint_info"].values()]
    [('Nase', ''), ('Ohr links', 'Ohr rechts'), ('Ohr rechts', 'Ohr links')]
    """
    twice = [each for each, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"two keypoints are named '{twice[0]}'; names must be unique")
    poses = np.asarray(poses, float)
    if poses.size == 0:
        poses = np.zeros((0, len(names), 3))
    if poses.ndim != 3 or poses.shape[1:] != (len(names), 3):
        raise ValueError(
            f"expected poses of shape (N, {len(names)}, 3), x, y and visibility of each keypoint, "
            f"got {poses.shape}"
        )
    stated = _indices(flip_pairs or (), names, "flip pair")
    swapping = Counter(names[point] for pair in stated for point in pair)
    for each, times in swapping.most_common(1):
        if times > 1:
            raise ValueError(f"two flip pairs name '{each}'; name it in one")
    pairs, notes = infer_flip(names, poses, stated)
    flip = partners(pairs, len(names))
    side = {
        point: side for pair in pairs for point, side in zip(pair, ("left", "right"), strict=True)
    }
    joined = _indices(links, names, "link")
    if not joined and len(names) > 1:
        joined = spanning_links(poses, flip, [side.get(k, "") for k in range(len(names))])
        notes.append("the labels have no skeleton: it joins points that lie close and move alike")
    elif joined and (alone := len(names) - len({point for link in joined for point in link})):
        notes.append(
            f"the labels' skeleton leaves {alone} of {len(names)} points alone; it is only drawn: "
            "add lines in keypoints.py as you like"
        )
    stems = [stem_of(each) for each in names]
    parts = halves(mean_pose(poses, flip), joined, flip, stems)
    sigmas, source = guess_sigmas(stems)
    keypoints = [
        Keypoint(
            each,
            parts[index],
            sigmas[index],
            1.0,
            names[flip[index]] if flip[index] != index else "",
            side.get(index, ""),
        )
        for index, each in enumerate(names)
    ]
    metainfo = build_metainfo(name, keypoints, [Link(names[a], names[b]) for a, b in joined])
    return InferredKeypointSet({**metainfo, SIGMAS_SOURCE: source}, tuple(notes))


def infer_flip(
    names: Sequence[str], poses: np.ndarray, stated: Sequence[Pair] = ()
) -> tuple[list[Pair], list[str]]:
    """Pairs (left, right) of K points that swap under a flip, checked against labels, and notes.

    Pairs that the source states and those of the names stay unless the labels contradict them.
    Others come in where the labels confirm them: those whose names may mean something else, and
    those that no name tells.

    Args:
        names: K names.
        poses: As :func:`infer_keypoint_set`.
        stated: Pairs of the source; they go before those of the names.
    """
    count, labels = len(names), LabelledPoses(poses)
    named = pairs_by_name(names)
    kept, contradicted = [*stated], list[Pair]()
    while True:  # a point of a pair that is contradicted is free for its partner by name
        taken = {point for pair in kept for point in pair}
        sure = [(a, b) for a, b, guessed in named if not guessed and taken.isdisjoint((a, b))]
        free = [pair for pair in sure if not _is_among(pair, contradicted)]
        found, wrong = without_contradicted(labels, [*kept, *free], count)
        kept, contradicted = list(found), [*contradicted, *wrong]
        if not wrong:
            break
    verdicts: dict[Pair, str] = {pair: evidence.verdict for pair, evidence in found.items()}
    back = with_confirmed(labels, kept, contradicted[::-1], count)  # wrong beside wrong ones only
    verdicts.update(dict.fromkeys(back, "confirmed"))
    kept, contradicted = [*kept, *back], [pair for pair in contradicted if pair not in back]
    for candidates in ([(a, b) for a, b, guessed in named if guessed], likely_pairs(labels, count)):
        free = [pair for pair in candidates if not _is_among(pair, contradicted)]
        kept += with_confirmed(labels, kept, free, count)
    sides = {pair: side_beside(names[pair[0]], names[pair[1]]) for pair in kept}
    pairs = labels.sided(
        [pair[::-1] if side == "right" else pair for pair, side in sides.items()],
        [bool(side) for side in sides.values()],
    )
    return pairs, _notes(names, contradicted, verdicts, sides)


def _is_among(pair: Pair, pairs: Iterable[Pair]) -> bool:
    return any(set(pair) == set(each) for each in pairs)


def _notes(
    names: Sequence[str],
    contradicted: Iterable[Pair],
    verdicts: Mapping[Pair, str],
    sides: Mapping[Pair, str],
) -> list[str]:
    """Sentences on pairs that were contradicted, and on those that swap, with sides if known."""

    def listed(pairs: Iterable[Pair]) -> str:
        return ", ".join(f"{names[a]} – {names[b]}" for a, b in pairs)

    notes = [
        f"the labels contradict that {names[a]} and {names[b]} swap under a flip: left out"
        for a, b in contradicted
    ]
    for verdict, said in (
        ("confirmed", "the labels confirm that these swap under a flip: "),
        ("undecided", "the labels leave open if these swap under a flip, so their names decide: "),
    ):
        pairs = [pair for pair, own in verdicts.items() if own == verdict]
        notes += [said + listed(pairs)] if pairs else []
    new = [pair for pair in sides if pair not in verdicts]
    if new:
        guess = "; which of them is left is a guess" if not all(map(sides.get, new)) else ""
        notes.append(f"the labels say that these swap under a flip too: {listed(new)}{guess}")
    if not sides and len(names) > 1:
        notes.append("no points swap under a flip, by names and labels")
    return notes


ALIKE = {
    "nose": "snout muzzle nostrils nase nustern schnauze nez naseaux nariz naso",
    "eye": "auge oeil ojo occhio oog",
    "ear": "ohr oreille oreja orecchio oor",
    "neck": "hals genick nacken encolure cou cuello collo",
    "shoulder": "schulter epaule hombro spalla schouder",
    "elbow": "ellbogen ellenbogen coude codo gomito elleboog",
    "wrist": "handgelenk poignet muneca polso pols",
    "hip": "hufte hanche cadera anca heup",
    "knee": "knie genou rodilla ginocchio",
    "ankle": "knochel cheville tobillo caviglia enkel",
    "hoof": "paw foot feet huf pfote fuss sabot patte pied pata zampa hoef poot",
    "hock": "sprunggelenk jarret corvejon garretto",
    "fetlock": "fessel boulet menudillo nodello",
    "withers": "widerrist garrot cruz garrese schoft",
}
"""Words for points that are clicked alike, in several languages, without accents."""
SYNONYMS = {word: known for known, words in ALIKE.items() for word in words.split()}
KNOWN_SIGMAS: dict[str, dict[frozenset[str], float]] = {
    name: {frozenset(stem_of(point.name)): point.sigma for point in known.KEYPOINTS}
    for name, known in (("coco17", coco17), ("horse26", horse26))
}
MEDIAN_SIGMA = median(point.sigma for point in coco17.KEYPOINTS)


def guess_sigmas(stems: Sequence[Iterable[str]]) -> tuple[list[float], str]:
    """Sigmas of K points by the words of their names, and where they come from.

    A point takes the sigma of the known point whose words are all among its own, of the set that
    knows more of the points, and the median of COCO's where none does.

    >>> guess_sigmas([["eye"], ["tail", "base", "top"], ["wing"]])[0]
    [0.025, 0.079, 0.072]
    """
    words = [{SYNONYMS.get(word, word) for word in stem} for stem in stems]
    fitting = {
        name: [_fitting(known, each) for each in words] for name, known in KNOWN_SIGMAS.items()
    }
    order = sorted(fitting, key=lambda name: fitting[name].count(None))
    found = [
        next((s for s in each if s), None)
        for each in zip(*(fitting[name] for name in order), strict=True)
    ]
    count = sum(sigma is not None for sigma in found)
    source = f"guess: {count} of {len(found)} as points of like names in {' and '.join(order)}"
    source += f", the others as the median of COCO's, {MEDIAN_SIGMA}" if count < len(found) else ""
    return [sigma or MEDIAN_SIGMA for sigma in found], source


def _fitting(known: Mapping[frozenset[str], float], words: set[str]) -> float | None:
    fitting = [point for point in known if point <= words]
    return known[max(fitting, key=len)] if fitting else None


def _indices(pairs: Iterable[tuple[str, str]], names: Sequence[str], what: str) -> list[Pair]:
    index_of = {name: index for index, name in enumerate(names)}
    found = []
    for pair in pairs:
        for end in pair:
            if end not in index_of:
                raise ValueError(
                    f"a {what} names '{end}', which is not a keypoint; the keypoints are "
                    f"{', '.join(names)}"
                )
        found.append((index_of[pair[0]], index_of[pair[1]]))
    return found
