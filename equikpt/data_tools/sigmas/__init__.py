"""Estimating the fall-off constants of COCO's object keypoint similarity.

COCO defines ``σ² = E[d² / s²]``: d is how far an annotator's click lies from where the point is, s
the square root of the object's area. σ enters the similarity as ``k = 2σ``:
``exp(−d² / (2 s² k²)) = exp(−d² / (8 s² σ²))`` (``computeOks`` of pycocotools).

- Two annotators' clicks differ by both their errors, so with D between them
  ``E[d² / s²] = E[D² / s²] / 2``.
- A model's residuals hold its own errors too, so they give an upper bound.

Source: https://cocodataset.org/#keypoints-eval
"""
