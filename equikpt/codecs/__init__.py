"""Codecs between keypoints and what a head learns; importing the package registers them."""

from equikpt.codecs.fast_codecs import FastMSRAHeatmap, FastSimCCLabel, FastUDPHeatmap
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
