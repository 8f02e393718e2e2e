import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import KEYPOINT_CODECS
from mmpose.structures import PoseDataSample

import equikpt.register  # noqa: F401
from equikpt.structures.pose_instance import maps_of

INPUT = (128, 96)
CODECS = [
    dict(type="FastUDPHeatmap", input_size=INPUT, heatmap_size=(32, 24), sigma=1),
    dict(type="FastMSRAHeatmap", input_size=INPUT, heatmap_size=(32, 24), sigma=1),
    dict(type="SoftmaxHeatmap", input_size=INPUT, heatmap_size=(32, 24), sigma=1),
    dict(type="FastSimCCLabel", input_size=INPUT, sigma=(3, 3), simcc_split_ratio=2.0),
]


def sample_of(heat: np.ndarray, along: tuple | None = None) -> PoseDataSample:
    """A prediction in an input that shows 256 x 192 px around (300, 200)."""
    meta = dict(
        input_size=INPUT, input_center=np.array([300.0, 200]), input_scale=np.array([256.0, 192])
    )
    sample = PoseDataSample(metainfo=meta)
    sample.pred_fields = PixelData(heatmaps=torch.from_numpy(heat))
    sample.pred_instances = InstanceData()
    if along:
        sample.pred_instances.keypoint_x_labels, sample.pred_instances.keypoint_y_labels = along
    return sample


@pytest.mark.parametrize("options", CODECS, ids=lambda options: options["type"])
def test_cells_lie_where_the_codec_puts_them(options):
    """The centre of mass of a codec's own target is the point, but for what it rounds."""
    init_default_scope("mmpose")
    decoder = KEYPOINT_CODECS.build(options)
    points = np.array([[[40.3, 31.7], [80.9, 60.2]]])  # px of the input
    encoded = decoder.encode(points, np.ones((1, 2)))
    along = None
    if "keypoint_x_labels" in encoded:
        along = encoded["keypoint_x_labels"], encoded["keypoint_y_labels"]
        heat = along[1][0][:, :, None] * along[0][0][:, None]
    else:
        heat = encoded["heatmaps"]
    maps = maps_of(sample_of(heat.astype(np.float32), along), decoder)
    rows, columns = np.mgrid[: heat.shape[1], : heat.shape[2]]
    mass = maps.heat.sum(axis=(1, 2))
    cells = np.column_stack(
        [(maps.heat * axis).sum(axis=(1, 2)) / mass for axis in (columns, rows)]
    )
    px = cells @ maps.to_image[:, :2].T + maps.to_image[:, 2]
    expected = points[0] * 2 + (300 - 128, 200 - 96)
    cell_px = maps.to_image[0, 0]
    rounded = options["type"] in ("FastMSRAHeatmap", "FastSimCCLabel")  # to whole cells
    np.testing.assert_allclose(px, expected, atol=(0.51 if rounded else 0.1) * cell_px)
    assert (maps.along_x is not None) == (along is not None)


def test_a_head_without_maps_is_refused():
    sample = PoseDataSample(metainfo=dict())
    with pytest.raises(ValueError, match="this head has none"):
        maps_of(sample, None)
