"""Codecs between keypoints and what a head learns; importing the package registers them."""

from equikpt.codecs.fast_msra_heatmap import FastMSRAHeatmap
from equikpt.codecs.fast_simcc_label import FastSimCCLabel
from equikpt.codecs.fast_udp_heatmap import FastUDPHeatmap
from equikpt.codecs.multi_peak_heatmap import MultiPeakHeatmap
from equikpt.codecs.point_sequence import PointSequence
from equikpt.codecs.softmax_heatmap import SoftmaxHeatmap

__all__ = [
    "FastMSRAHeatmap",
    "FastSimCCLabel",
    "FastUDPHeatmap",
    "MultiPeakHeatmap",
    "PointSequence",
    "SoftmaxHeatmap",
]
