"""Stages of a backbone, read off its parameter names by tables of rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

Rule = tuple[str, "int | str"]
"""``(pattern, stage)``: a regular expression matched at the beginning of a parameter's name, and a
number, ``"+n"`` (the pattern's first group plus n) or ``"last"`` (the deepest of the other stages).
"""

# FeatureListNet joins the first two levels of a name with "_"; EfficientNets and MobileNets keep
# theirs; transformers stand inside ``model``.
TIMM_RULES: tuple[Rule, ...] = (
    (r"net\.(conv_stem|conv[12]|bn[12]|stem|stem_\d+|stem_conv|patch_embed)\.", 0),
    (r"net\.model\.(cls_token|pos_embed|reg_token|dist_token)$", 0),
    (r"net\.model\.(patch_embed|norm_pre|stem)\.", 0),
    (r"net\.(?:model\.)?blocks[._](\d+)\.", "+1"),
    (r"net\.(?:stages|layers)_(\d+)\.", "+1"),
    (r"net\.(?:layer|s|stage|transition)(\d+)\.", "+0"),
    (r"net\.(incre_modules|downsamp_modules|final_layer)\.", "last"),
    (r"net\.(?:model\.)?(norm|fc_norm|conv_head|final_conv|head)\.", "last"),
)


def assign_stages(
    names: Iterable[str], rules: tuple[Rule, ...], family: str
) -> Iterator[tuple[str, int]]:
    """Pair each parameter name with its stage; the stem is 0.

    Raises:
        ValueError: A name matches no rule.
    """
    deepest, last = 0, []
    for name in names:
        matches = ((re.match(pattern, name), stage) for pattern, stage in rules)
        found, stage = next(((match, stage) for match, stage in matches if match), (None, 0))
        if found is None:
            raise ValueError(
                f"expected every parameter of the {family} backbone to match a rule, but {name} "
                "matches none; add a rule for it to the family's table in equikpt"
            )
        if stage == "last":
            last.append(name)
            continue
        number = int(stage) + (int(found.group(1)) if isinstance(stage, str) else 0)
        deepest = max(deepest, number)
        yield name, number
    yield from ((name, deepest) for name in last)
