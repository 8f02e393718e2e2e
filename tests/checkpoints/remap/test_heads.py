from __future__ import annotations

import pytest

from equikpt.checkpoints.remap.heads import HEAD, head_family, keypoint_dims
from tests.checkpoints.remap.models import build, heatmap_head, rtmcc_head


def deconv(points: int, **options) -> dict:
    return {**heatmap_head(points, **options), "deconv_kernel_sizes": (4,)}


def convs(points: int, *widths: int, **options) -> dict:
    options["conv_out_channels"] = widths
    options["conv_kernel_sizes"] = (3,) * len(widths)
    return heatmap_head(points, **options)


VARIANTS = {
    "final layer": lambda k: heatmap_head(k),
    "final layer 3 x 3": lambda k: heatmap_head(k, final_layer=dict(kernel_size=3)),
    "convolutions before it": lambda k: convs(k, 6, 7),
    "convolutions alone": lambda k: convs(k, 6, k, final_layer=None),
    "deconvolution before it": lambda k: deconv(k) | {"deconv_out_channels": (6,)},
    "deconvolution alone": lambda k: deconv(k, final_layer=None) | {"deconv_out_channels": (k,)},
    "RTMCC": lambda k: rtmcc_head(k),
    "RTMCC with all that depends on order": lambda k: rtmcc_head(
        k, use_rel_bias=True, pos_enc=True
    ),
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_the_table_names_all_that_changes_with_the_number_of_points(variant):
    small, large = build(variant(17)), build(variant(26))
    family = head_family(large.head)
    dims = keypoint_dims(large.state_dict(), family)
    for name, tensor in large.state_dict().items():
        lengths = zip(small.state_dict()[name].shape, tensor.shape, strict=True)
        changed = [dim for dim, (a, b) in enumerate(lengths) if a != b]
        if name.removeprefix(HEAD) in family.by_order:
            assert changed == [0]
        else:
            assert changed == ([dims[name]] if name in dims else [])
    assert dims


def test_a_head_that_derives_from_a_known_one_is_of_its_family():
    head = build(heatmap_head(26)).head
    derived = type("MyHead", (type(head),), {})
    assert head_family(derived(8, 26, None)) is head_family(head)


def test_an_unknown_head_is_an_error():
    with pytest.raises(TypeError, match=r"HeatmapHead or RTMCCHead.*got list"):
        head_family([])


def test_a_head_without_its_output_layer_is_an_error():
    family = head_family(build(rtmcc_head(26)).head)
    with pytest.raises(ValueError, match=r"expected a model with head\.final_layer"):
        keypoint_dims(
            {"backbone.conv1.weight": build(heatmap_head(26)).backbone.conv1.weight}, family
        )
