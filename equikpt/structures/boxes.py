"""Boxes of :mod:`equikpt_runtime`, among the structures."""

from equikpt_runtime.boxes import box_area as box_area
from equikpt_runtime.boxes import box_iou as box_iou
from equikpt_runtime.boxes import hungarian_match as hungarian_match
from equikpt_runtime.boxes import whole_image as whole_image
