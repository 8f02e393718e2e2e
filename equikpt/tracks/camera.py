"""Motion of the camera, by corners of the background that are followed from frame to frame.

Corners of a key frame outside the animals are followed by pyramidal Lucas–Kanade in a reduced gray
image; a new key frame begins where few are left or the camera has gone far, so that errors add up
over key frames and not over frames. A similarity, or a homography where many more corners agree
with it, leads each frame to the key frame, and the chain of key frames to the first frame, whose px
are the stabilised frame's. Parallax is not modelled: the background counts as far away or as one
plane.

Letters: N corners, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

WORKING_WIDTH_PX = 640
"""Width of the image that corners are followed in."""
MAX_CORNERS = 300
CORNER_QUALITY = 0.01
CORNER_DISTANCE_PX = 8
WINDOW_PX = (21, 21)
LEVELS = 3
MARGIN = 0.1
"""Margin of an animal around the hull of its points, in its longer side."""
MAX_DIFFERENCE = 30.0
"""Mean difference of the gray values around a corner beyond which it is not the same."""
MIN_LEFT = 0.6
"""Part of the key frame's corners that agree below which a new one begins."""
MAX_SHIFT = 0.15
"""Way of the image's middle, in its width, beyond which a new key frame begins."""
MAX_BLIND = 15
"""Frames without a motion after which a key frame begins whose place is a guess."""
AGREE_PX = 1.0
"""Distance of a corner that agrees with a motion, px of the working image."""
MIN_AGREEING, MIN_AGREEING_PART = 10, 0.35
MIN_FOR_HOMOGRAPHY, HOMOGRAPHY_GAIN = 80, 1.3
"""Fewest agreeing corners of a homography, and their number over the similarity's."""
MAX_SHEAR = 1.03
"""Largest over smallest magnification at one place of a homography that a turning camera makes;
beyond, the corners lie on planes of several distances."""
STILL_PX = 0.15
"""Way of the image's corners up to which a camera is still, px of the working image."""
STILL_FRAMES = 9
"""Frames of the running median that this way is of."""
MIN_KNOWN = 0.5
"""Part of the frames whose motion must be known for the camera to be called moving."""


class _Key:
    """A frame whose corners are followed, and the way from it to the first frame."""

    def __init__(self, gray: np.ndarray, free: np.ndarray, to_first: np.ndarray) -> None:
        found = cv2.goodFeaturesToTrack(
            gray, MAX_CORNERS, CORNER_QUALITY, CORNER_DISTANCE_PX, mask=free
        )
        self.gray, self.to_first = gray, to_first
        self.corners = np.zeros((0, 1, 2), np.float32) if found is None else found
        self.now = self.corners.copy()

    def match(self, gray: np.ndarray, free: np.ndarray) -> tuple[np.ndarray | None, float]:
        """Return the motion (3, 3) from a frame to this one, or None, and the part that agrees."""
        if len(self.corners) < MIN_AGREEING:
            return None, 0.0
        now, status, difference = cv2.calcOpticalFlowPyrLK(
            self.gray,
            gray,
            self.corners,
            self.now.copy(),
            winSize=WINDOW_PX,
            maxLevel=LEVELS,
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )
        size = gray.shape[1::-1]
        good = ((now >= 0) & (now < size)).all(axis=(1, 2)) & (status[:, 0] == 1)
        good &= difference[:, 0] <= MAX_DIFFERENCE
        at = now[:, 0].astype(int).clip(0, np.subtract(size, 1))
        good &= free[at[:, 1], at[:, 0]] > 0
        motion, agreeing = fitted(
            now[good, 0].astype(float), self.corners[good, 0].astype(float), AGREE_PX
        )
        if motion is None:
            return None, 0.0
        expected = cv2.perspectiveTransform(self.corners.astype(float), np.linalg.inv(motion))
        self.now = np.where(good[:, None, None], now, expected).astype(np.float32)
        return motion, agreeing / len(self.corners)


class CameraMotion:
    """Motion of a camera: :meth:`add` frame by frame, then :meth:`to_still`.

    Args:
        size_px: Width and height of a frame.
    """

    def __init__(self, size_px: tuple[int, int]) -> None:
        width, height = size_px
        self._scale = max(1.0, width / WORKING_WIDTH_PX)
        self._size = (round(width / self._scale), round(height / self._scale))
        x, y = width / self._size[0], height / self._size[1]
        self._grown = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
        self._ends = np.array([[0, 0], [width, 0], [0, height], [width, height]], float)
        self._key: _Key | None = None
        self._last: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        self._blind = 0
        self._found: list[np.ndarray | None] = []
        self.breaks: list[int] = []
        """Frames from which the way to the first frame is a guess."""

    def add(self, pixels: np.ndarray, animals: Sequence[np.ndarray] = ()) -> None:
        """Take the next frame (H, W, 3) uint8, BGR, with points (n, 2) of each animal, px."""
        whole = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        gray = cv2.resize(whole, self._size, interpolation=cv2.INTER_AREA)
        free = self._free(animals)
        if self._key is None:
            self._key, self._last = _Key(gray, free, np.eye(3)), (gray, free, np.eye(3))
            self._found.append(np.eye(3))
            return
        motion, part = self._key.match(gray, free)
        if motion is None and self._last is not None:  # from the frame before, it may be little
            self._key, self._last = _Key(*self._last), None
            motion, part = self._key.match(gray, free)
        if motion is None:
            self._found.append(None)
            self._blind += 1
            if self._blind > MAX_BLIND:
                self.breaks.append(len(self._found) - 1)
                self._key, self._blind = _Key(gray, free, self._key.to_first), 0
            return
        to_first = self._key.to_first @ motion
        to_first /= to_first[2, 2]
        self._found.append(self._in_px(to_first))
        self._last, self._blind = (gray, free, to_first), 0
        middle = np.array([[self._size]], float) / 2
        way = np.abs(cv2.perspectiveTransform(middle, motion) - middle).max()
        if part < MIN_LEFT or way > MAX_SHIFT * self._size[0]:
            self._key = _Key(*self._last)

    def _free(self, animals: Sequence[np.ndarray]) -> np.ndarray:
        """Mask (h, w) of the working image, 0 where animals are."""
        free = np.full(self._size[::-1], 255, np.uint8)
        for points in animals:
            if len(points):
                own = (points / self._scale).astype(np.float32)
                hull = cv2.convexHull(own).round().astype(np.int32)
                margin = max(1, round(2 * MARGIN * float(np.ptp(own, axis=0).max())))
                cv2.fillConvexPoly(free, hull, 0)
                cv2.polylines(free, [hull], True, 0, margin)
        return free

    def _in_px(self, motion: np.ndarray) -> np.ndarray:
        """A motion of the working image as one of the frames; a px lies at its middle."""
        moved = self._grown @ motion @ np.linalg.inv(self._grown)
        return moved / moved[2, 2]

    @property
    def unknown(self) -> np.ndarray:
        """Numbers of the frames in which too few corners agree."""
        return np.flatnonzero([each is None for each in self._found])

    @property
    def is_known(self) -> bool:
        """True where the motion of enough frames is known."""
        return len(self.unknown) <= (1 - MIN_KNOWN) * len(self._found)

    def to_still(self) -> np.ndarray:
        """Return the homographies (T, 3, 3) from each frame to the first one.

        Those of frames in which too few corners agree are between their neighbours'.
        """
        known = np.flatnonzero([each is not None for each in self._found])
        values = np.array([each for each in self._found if each is not None]).reshape(-1, 9)
        every = np.arange(len(self._found))
        columns = [np.interp(every, known, each) for each in values.T]
        return np.stack(columns, axis=-1).reshape(-1, 3, 3)

    def way_px(self) -> float:
        """Return the longest way of the image's corners from the first frame on, px.

        It is that of running medians: no single frame is believed.
        """
        chain = self.to_still()
        ones = np.column_stack([self._ends, np.ones(4)])
        moved = ones @ chain.transpose(0, 2, 1)
        way = np.linalg.norm(moved[..., :2] / moved[..., 2:] - self._ends, axis=-1).max(axis=1)
        width = min(STILL_FRAMES, len(way))
        return float(np.median(np.lib.stride_tricks.sliding_window_view(way, width), axis=1).max())

    def moves(self) -> bool:
        """Tell if the camera moves by more than its corners' noise."""
        return self.is_known and self.way_px() > STILL_PX * self._scale


def fitted(now: np.ndarray, key: np.ndarray, agree_px: float) -> tuple[np.ndarray | None, int]:
    """Fit the motion (3, 3) that leads points (N, 2) to others, and count those that agree.

    It is None where too few do.
    """
    if len(now) < MIN_AGREEING:
        return None, 0
    needed = max(MIN_AGREEING, MIN_AGREEING_PART * len(now))
    similarity, inliers = cv2.estimateAffinePartial2D(
        now, key, method=cv2.RANSAC, ransacReprojThreshold=agree_px, maxIters=500
    )
    count = 0 if similarity is None else int(inliers.sum())
    if count < len(now) / HOMOGRAPHY_GAIN and len(now) >= MIN_FOR_HOMOGRAPHY:
        homography, agreeing = cv2.findHomography(now, key, cv2.RANSAC, agree_px, maxIters=500)
        gained = 0 if homography is None else int(agreeing.sum())
        enough = max(MIN_FOR_HOMOGRAPHY, needed, HOMOGRAPHY_GAIN * count)
        if gained >= enough and _shear(homography, now.mean(axis=0)) <= MAX_SHEAR:
            return np.asarray(homography, float), gained
    if count < needed:
        return None, count
    return np.vstack([similarity, [0.0, 0, 1]]), count


def _shear(homography: np.ndarray, point: np.ndarray) -> float:
    """Largest over smallest magnification of a homography (3, 3) at a point (2,)."""
    moved = homography @ np.append(point, 1)
    derivative = homography[:2, :2] - np.outer(moved[:2] / moved[2], homography[2, :2])
    largest, smallest = np.linalg.svd(derivative, compute_uv=False)
    return float(largest / smallest)
