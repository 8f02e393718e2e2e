import pytest

from equikpt.core.pipelines import CROPS, TARGETS, fill_codec

CODEC = dict(type="FastSimCCLabel", input_size=(192, 256), sigma=3)


@pytest.mark.parametrize("crop", CROPS)
def test_crops_take_the_size(crop):
    (step,) = fill_codec([dict(type=crop)], CODEC)
    assert step["input_size"] == (192, 256)


@pytest.mark.parametrize("target", TARGETS)
def test_targets_take_the_codec(target):
    (step,) = fill_codec([dict(type=target, use_dataset_keypoint_weights=True)], CODEC)
    assert step == dict(type=target, encoder=CODEC, use_dataset_keypoint_weights=True)


@pytest.mark.parametrize(
    ("codec", "is_udp"), [("FastUDPHeatmap", True), ("UDPHeatmap", True), ("MSRAHeatmap", False)]
)
def test_the_crop_of_udp_goes_with_its_codec(codec, is_udp):
    (step,) = fill_codec([dict(type="TopdownAffineCrop")], dict(CODEC, type=codec))
    assert step["use_udp"] is is_udp


def test_what_a_step_names_itself_stays_and_without_a_codec_everything():
    own = [
        dict(type="TopdownAffine", input_size=(64, 64), use_udp=True),
        dict(type="GenerateTarget", encoder=dict(type="MSRAHeatmap")),
        dict(type="RandomFlipKeypoints", prob=0.5),
        print,
    ]
    assert fill_codec(own, CODEC) == own
    bare = [dict(type="TopdownAffineCrop"), dict(type="GenerateTarget")]
    assert fill_codec(bare, None) == bare
