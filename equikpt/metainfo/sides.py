"""Left and right in the names of keypoints, in several languages and spellings.

A name is cut into words at separators, digits and capitals (``leftEar``, ``ear.L``, ``paw2LF_top``)
and compared without case and accents. Two names are a pair where one has the word of the left in
the place of the other's word of the right.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

_TOLD = (
    "left right, l r, lft rgt, lt rt, "  # English
    "lf rf, lh rh, lb rb, fl fr, hl hr, bl br, rl rr, "  # a leg: front, hind, back, rear
    "links rechts, linkes rechtes, linker rechter, linke rechte, li re, "  # German, Dutch
    "gauche droite, gauche droit, izquierda derecha, izquierdo derecho, izq der, izq dcha, "
    "esquerda direita, esquerdo direito, esq dir, sinistra destra, sinistro destro, sx dx, "
    "vanster hoger, venstre hoyre, venstre hojre, vasen oikea, bal jobb, sol sag, "
    "lewy prawy, lewa prawa, lewe prawe, levy pravy, leva prava, leve prave, "
    "левыи правыи, левая правая, левое правое, 左 右, 왼쪽 오른쪽"
)
_PAIRED = (
    "near off, near far, g d, i d, e d, sin dex, dext sin, "
    "vl vr, vli vre, hli hre, ag ad, pg pd, avg avd, arg ard"  # a leg: vorne, antérieur, avant …
)
_GUESSED = "v h, 1 2, a b"


class _Words(NamedTuple):
    """Words of the left and of the right.

    Args:
        left: Without case and accents.
        right: Likewise.
        tells: Say a side in a single name; others need the partner beside them.
        guessed: Mean something else as often: the labels must confirm such a pair.
    """

    left: str
    right: str
    tells: bool
    guessed: bool


_TABLE = tuple(
    _Words(left, right, tells=rows is _TOLD, guessed=rows is _GUESSED)
    for rows in (_TOLD, _PAIRED, _GUESSED)
    for left, right in (row.split() for row in rows.split(", "))
)
_PLAIN = str.maketrans(
    {**dict(zip("łøđıß", "lodis", strict=True)), "œ": "oe", "Œ": "Oe", "æ": "ae"}
)


class NamePair(NamedTuple):
    """Indices of two keypoints whose names say left and right of the same thing.

    Args:
        left: Index of the left one.
        right: Of the right one.
        guessed: Only labels can confirm it: numbered twins, letters of several meanings.
    """

    left: int
    right: int
    guessed: bool


class _Reading(NamedTuple):
    words: int  # row of the table, -1 for letters that are run on
    side: str
    rest: tuple[str, ...]  # words of the name, "*" for the side's
    guessed: bool
    tells: bool


def words_of(name: str) -> list[str]:
    """Words of a name, without case and accents.

    >>> words_of("paw1LH_top"), words_of("Oreille-gauche"), words_of("RShoulder")
    (['paw', '1', 'lh', 'top'], ['oreille', 'gauche'], ['r', 'shoulder'])
    """
    decomposed = unicodedata.normalize("NFKD", name)
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    bare = unicodedata.normalize("NFC", bare)
    found = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\dA-Za-z_]+", bare.translate(_PLAIN))
    return [word.lower() for word in found]


def side_of(name: str) -> str:
    """``"left"``, ``"right"`` or ``""`` as a keypoint's name alone says.

    >>> side_of("lf_hoof"), side_of("KneeRight"), side_of("oreille gauche"), side_of("rump")
    ('left', 'right', 'left', '')
    """
    return next((reading.side for reading in _readings(name) if reading.tells), "")


def stem_of(name: str) -> tuple[str, ...]:
    """Words of a name without numbers and without its side's, where it says one alone.

    >>> stem_of("paw1LH_top"), stem_of("earLeft"), stem_of("nose")
    (('paw', 'top'), ('ear',), ('nose',))
    """
    told = (reading.rest for reading in _readings(name) if reading.tells)
    words = next(told, tuple(words_of(name)))
    return tuple(word for word in words if word != "*" and not word.isdigit())


def pairs_by_name(names: Sequence[str]) -> tuple[NamePair, ...]:
    """Pairs of left and right by K names, in the order of the names; each name is in one at most.

    Those that differ by the side's word alone come first, then those whose words stand in another
    order, then those whose numbers differ as well.

    >>> pairs_by_name(["Nase", "Ohr links", "ohr_rechts", "paw1LH", "paw4RH", "ear1", "ear2"])[:2]
    (NamePair(left=1, right=2, guessed=False), NamePair(left=3, right=4, guessed=False))
    """
    readings = [list(_readings(name)) for name in names]
    pairs: list[NamePair] = []
    free = set(range(len(names)))
    for guessed in (False, True):
        for key in _KEYS:
            for left, right in _matches(readings, key, guessed):
                if {left, right} <= free:
                    free -= {left, right}
                    pairs.append(NamePair(left, right, guessed))
    return tuple(sorted(pairs, key=lambda pair: min(pair.left, pair.right)))


def flip_by_name(names: Sequence[str]) -> tuple[int, ...]:
    """For each keypoint the index of its partner under a flip, as far as names tell a side."""
    flip = list(range(len(names)))
    for left, right, guessed in pairs_by_name(names):
        if not guessed:
            flip[left], flip[right] = right, left
    return tuple(flip)


_KEYS: tuple[Callable[[tuple[str, ...]], tuple[str, ...]], ...] = (
    lambda rest: rest,
    lambda rest: tuple(sorted(rest)),
    lambda rest: tuple(sorted(word for word in rest if not word.isdigit())),
)


def _matches(
    readings: Sequence[Sequence[_Reading]],
    key: Callable[[tuple[str, ...]], tuple[str, ...]],
    guessed: bool,
) -> Iterator[tuple[int, int]]:
    """Left and right where exactly one name of each side has the same words of the table."""
    sides: dict[tuple, dict[str, list[int]]] = defaultdict(lambda: dict(left=[], right=[]))
    for index, found in enumerate(readings):
        for reading in found:
            if reading.guessed == guessed:
                sides[reading.words, key(reading.rest)][reading.side].append(index)
    for each in sides.values():
        if len(each["left"]) == len(each["right"]) == 1:
            yield each["left"][0], each["right"][0]


def _readings(name: str) -> Iterator[_Reading]:
    """Ways in which a name says a side, the word of its own first."""
    words = words_of(name)
    for run_on in (False, True):
        for place, word in enumerate(words):
            for row, table in enumerate(_TABLE):
                for side, sought in (("left", table.left), ("right", table.right)):
                    rest = _without(word, sought) if run_on else ("*",) if word == sought else ()
                    if rest:
                        parts = (*words[:place], *rest, *words[place + 1 :])
                        yield _Reading(row, side, parts, table.guessed, table.tells)
    for place, word in enumerate(words):  # lknee, kneel
        for side, letter in (("left", "l"), ("right", "r")):
            for rest in _ends(word, letter):
                parts = (*words[:place], *rest, *words[place + 1 :])
                yield _Reading(-1, side, parts, guessed=True, tells=False)


def _without(word: str, sought: str) -> tuple[str, ...]:
    """A word without the side's that is run on, where that is long enough to be no accident."""
    if len(sought) > 3 or not sought.isascii():
        return next(iter(_ends(word, sought)), ())
    # Horse-10's Offknee; few words end with off
    return ("*", word[3:]) if sought == "off" and word.startswith("off") and word != "off" else ()


def _ends(word: str, sought: str) -> Iterator[tuple[str, ...]]:
    if len(word) > len(sought) + 1 or (not word.isascii() and len(word) > len(sought)):
        if word.startswith(sought):
            yield "*", word[len(sought) :]
        if word.endswith(sought):
            yield word[: -len(sought)], "*"
