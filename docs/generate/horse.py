"""Pictures of the sample horse: the 26 keypoints, and how far a point may be off for each score."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np

from equikpt.metainfo.horse26 import KEYPOINTS, LINKS
from equikpt_runtime.boxes import oks
from projects.sample_horses.anatomy import Build, Pose
from projects.sample_horses.camera import Camera
from projects.sample_horses.coat import Coat
from projects.sample_horses.ground import Backdrop, Light
from projects.sample_horses.horse import Horse
from projects.sample_horses.limbs import LegPose
from projects.sample_horses.render import render
from projects.sample_horses.scene import Scene

COLORS = {"l": "#0b7a3b", "r": "#d1600a", "": "#1f5fbf"}
"""By side, as MMPose draws them: left green, right orange, the middle blue."""
LENS_PX = 30_000
"""A long lens from far away, so that nothing looks larger for being nearer."""
POSE = Pose(
    legs=dict(lf=LegPose(0.05), rf=LegPose(-0.13), lh=LegPose(-0.10), rh=LegPose(0.13)),
    tail_lift=0.2,
    head_pitch=np.deg2rad(-47),
)


@dataclass(frozen=True)
class View:
    """A drawn horse on white: (H, W, 3) BGR, its keypoints (26, 2) px, seen (26,), area px²."""

    image: np.ndarray
    xy: np.ndarray
    seen: np.ndarray
    area: float


def side_of(name: str) -> str:
    """Return ``l``, ``r`` or, for a point of the middle, nothing."""
    return name[0] if "_" in name and name[0] in "lr" and name.split("_")[0][1:] in "fh" else ""


def view(bearing_deg: float, size: tuple[int, int], px_per_m: float) -> View:
    """Draw the horse from a side: 0 from its left, 90 from the front, 270 from behind."""
    angle = np.deg2rad(bearing_deg)
    distance = LENS_PX / px_per_m
    direction = np.array([np.sin(angle), np.cos(angle), 0.012])
    middle = np.array([0.18 * abs(np.cos(angle)), 0.0, 0.99])
    camera = Camera.look_at(
        middle + distance * direction, middle, LENS_PX, (size[0] / 2, size[1] / 2)
    )
    horse = Horse(Build(), POSE, Coat(kind="chestnut", face="stripe", mane_side=-1))
    light = Light(
        np.array([0.25, 0.6, 0.76]) * (1, np.sign(np.cos(angle)) or 1, 1),
        np.full(3, 1.0), np.full(3, 1.05), np.full(3, 0.6),
    )  # fmt: skip
    backdrop = Backdrop("sand", (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), 0, 0, 0, seed=0)
    drawn = render(Scene(camera, [horse], [], light, backdrop), *size)
    share = (drawn.layers.instance > 0).astype(np.float32)
    share = cv2.resize(share, size, interpolation=cv2.INTER_AREA)[..., None]
    # paler than a photograph: the points are what the picture is about
    pale = 255 - 0.62 * (255 - cv2.GaussianBlur(drawn.image, (0, 0), 0.6).astype(np.float32))
    image = (share * pale + (1 - share) * 255).astype(np.uint8)
    label = drawn.labels[0]
    seen = label.keypoints[:, 2] == 2
    return View(image, camera.project(horse.keypoints_world())[0], seen, label.area_px)


def embedded(image: np.ndarray) -> str:
    """Write an image as the address of an SVG ``<image>``."""
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 82])[1].tobytes()
    return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")


def svg(width: int, height: int, parts: list[str], title: str) -> str:
    """Write a picture of its own, with a title that screen readers say."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="system-ui, sans-serif" role="img"><title>{escape(title)}</title>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>' + "".join(parts) + "</svg>\n"
    )


def keypoints_svg() -> str:
    """Draw the horse from its left, its front and behind, every keypoint with number and name."""
    parts = _panel(view(0, (960, 700), 285), (0, 0), LABELS_SIDE)
    parts += _panel(view(90, (480, 600), 255), (0, 720), LABELS_FRONT)
    parts += _panel(view(270, (480, 600), 255), (480, 720), LABELS_BEHIND)
    for x, y, text in ((240, 1340, "from the front"), (720, 1340, "from behind")):
        parts.append(f'<text x="{x}" y="{y}" font-size="19" text-anchor="middle">{text}</text>')
    for row, (side, text) in enumerate((("l", "left"), ("r", "right"), ("", "in the middle"))):
        y = 24 + 26 * row
        parts.append(f'<circle cx="800" cy="{y}" r="7" fill="{COLORS[side]}"/>')
        parts.append(f'<text x="815" y="{y + 6}" font-size="16">{text}</text>')
    parts.append('<circle cx="800" cy="102" r="6" fill="#fff" stroke="#444" stroke-width="2.5"/>')
    parts.append('<text x="815" y="108" font-size="16">occluded</text>')
    return svg(960, 1360, parts, "The 26 keypoints on a drawn horse, from three sides")


# Where each label stands from its point, px: dx, dy and the end of the text that is fastened.
Offsets = dict[str, tuple[int, int, str]]
LEFTWARDS, RIGHTWARDS = (-45, 0, "end"), (45, 0, "start")
LABELS_SIDE: Offsets = {
    "nose": (-8, 48, "middle"), "l_eye": (-48, -18, "end"), "r_eye": (-48, 8, "end"),
    "l_ear": (-44, -14, "end"), "r_ear": (-44, 12, "end"), "neck": (-84, 62, "end"),
    "withers": (0, -42, "middle"), "back": (0, -48, "middle"), "tail_base": (14, -46, "start"),
    "tail_end": (46, 26, "start"), "l_elbow": (-70, 14, "end"), "r_elbow": (66, 52, "start"),
    "l_knee": LEFTWARDS, "r_knee": RIGHTWARDS, "lf_fetlock": LEFTWARDS,
    "rf_fetlock": (40, -18, "start"),
    "lf_hoof": (-45, 12, "end"), "rf_hoof": (50, 14, "start"), "l_hip": (58, -44, "start"),
    "r_hip": (-52, 56, "end"), "l_hock": RIGHTWARDS, "r_hock": LEFTWARDS,
    "lh_fetlock": RIGHTWARDS, "rh_fetlock": (-40, 16, "end"), "lh_hoof": (50, 14, "start"),
    "rh_hoof": (-45, 12, "end"),
}  # fmt: skip
LABELS_FRONT: Offsets = {
    name: (-55, 0, "end") if name.startswith("r") else (55, 0, "start")
    for name in [
        "l_ear",
        "r_ear",
        "l_eye",
        "r_eye",
        "l_elbow",
        "r_elbow",
        "l_knee",
        "r_knee",
        "lf_fetlock",
        "rf_fetlock",
        "lf_hoof",
        "rf_hoof",
    ]
} | {"nose": (90, 16, "start")}
LABELS_BEHIND: Offsets = {
    name: (-55, 0, "end") if name.startswith("l") else (55, 0, "start")
    for name in [
        "l_ear",
        "r_ear",
        "l_hock",
        "r_hock",
        "lh_fetlock",
        "rh_fetlock",
        "lh_hoof",
        "rh_hoof",
    ]
} | {"tail_base": (95, 0, "start"), "tail_end": (90, 0, "start"), "withers": (95, -14, "start")}


def _panel(drawn: View, at: tuple[int, int], labels: Offsets) -> list[str]:
    height, width = drawn.image.shape[:2]
    x0, y0 = at
    parts = [
        f'<image x="{x0}" y="{y0}" width="{width}" height="{height}" '
        f'href="{embedded(drawn.image)}"/>'
    ]
    index = {point.name: number for number, point in enumerate(KEYPOINTS)}
    for link in LINKS if labels is LABELS_SIDE else ():
        (ax, ay), (bx, by) = (drawn.xy[index[name]] for name in (link.start, link.end))
        parts.append(
            f'<line x1="{x0 + ax:.1f}" y1="{y0 + ay:.1f}" x2="{x0 + bx:.1f}" y2="{y0 + by:.1f}" '
            'stroke="#555" stroke-width="1.5" stroke-opacity="0.45"/>'
        )
    for number in np.argsort(drawn.seen):  # what is seen lies on top
        point = KEYPOINTS[number]
        if point.name not in labels:
            continue
        x, y = drawn.xy[number] + (x0, y0)
        color = COLORS[side_of(point.name)]
        fill = color if drawn.seen[number] else "#fff"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" fill="{fill}" stroke="{color}" '
            'stroke-width="2.5"/>'
        )
        if point.name in labels:
            parts += _label(f"{number} {point.name}", (x, y), labels[point.name], color)
    return parts


def _label(text: str, at: tuple[float, float], offset: tuple[int, int, str], color: str) -> list:
    x, y = at
    dx, dy, anchor = offset
    away = 4 if anchor == "start" else -4
    return [
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x + dx:.1f}" y2="{y + dy:.1f}" stroke="{color}" '
        'stroke-width="1"/>',
        f'<text x="{x + dx + (0 if anchor == "middle" else away):.1f}" y="{y + dy + 5:.1f}" '
        f'font-size="15" fill="{color}" stroke="#fff" stroke-width="3" paint-order="stroke" '
        f'text-anchor="{anchor}">{text}</text>',
    ]


REACHES = ("nose", "withers", "l_knee", "lh_hoof")
"""Keypoints around which the errors picture draws circles."""


def errors_svg() -> str:
    """Draw how far a point may be off for PCK and for an OKS of 0.5 and 0.75."""
    drawn = view(0, (960, 700), 285)
    low, high = drawn.xy.min(0) - 20, drawn.xy.max(0) + (34, 14)
    side = float((high - low).max())
    parts = [
        f'<image width="960" height="700" href="{embedded(drawn.image)}"/>',
        f'<rect x="{low[0]:.0f}" y="{low[1]:.0f}" width="{high[0] - low[0]:.0f}" '
        f'height="{high[1] - low[1]:.0f}" fill="none" stroke="#666" stroke-dasharray="6 5"/>',
    ]
    for point, (x, y) in zip(KEYPOINTS, drawn.xy, strict=True):
        if point.name not in REACHES:
            continue
        radii = [(0.1 * side, "#888", "4 4"), (0.05 * side, "#888", "")]
        for similarity, color in ((0.5, "#1f5fbf"), (0.75, "#0b7a3b")):
            reach = 2 * point.sigma * np.sqrt(-2 * drawn.area * np.log(similarity))
            radii.append((reach, color, ""))
        for radius, color, dashes in radii:
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="none" '
                f'stroke="{color}" stroke-width="2" stroke-dasharray="{dashes}"/>'
            )
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#111"/>')
    rows = (
        ("#888", "4 4", "PCK@0.1: a tenth of the box's longer side"),
        ("#888", "", "PCK@0.05: a twentieth"),
        ("#1f5fbf", "", "OKS 0.5, by the point's sigma"),
        ("#0b7a3b", "", "OKS 0.75"),
    )
    for row, (color, dashes, text) in enumerate(rows):
        y = 720 + 26 * row
        parts.append(
            f'<line x1="250" y1="{y}" x2="290" y2="{y}" stroke="{color}" stroke-width="2.5" '
            f'stroke-dasharray="{dashes}"/><text x="302" y="{y + 6}" font-size="17">{text}</text>'
        )
    return svg(960, 820, parts, "How far a point may be off")


def oks_svg() -> str:
    """Draw one horse three times with predictions of an OKS of 0.95, 0.75 and 0.5."""
    drawn = view(0, (320, 240), 95)
    sigmas = np.array([point.sigma for point in KEYPOINTS])
    shift = np.random.default_rng(4).normal(size=(len(KEYPOINTS), 2))
    picture = embedded(drawn.image)
    parts = []
    for column, wanted in enumerate((0.95, 0.75, 0.5)):
        predicted = drawn.xy + _scaled_to_oks(shift, drawn.area, sigmas, wanted)
        x0 = 320 * column
        parts.append(f'<image x="{x0}" width="320" height="240" href="{picture}"/>')
        for (x, y), (px, py) in zip(drawn.xy, predicted, strict=True):
            parts.append(
                f'<line x1="{x0 + x:.1f}" y1="{y:.1f}" x2="{x0 + px:.1f}" y2="{py:.1f}" '
                'stroke="#c2185b" stroke-width="1.6"/>'
                f'<circle cx="{x0 + x:.1f}" cy="{y:.1f}" r="2.6" fill="#0b7a3b"/>'
                f'<circle cx="{x0 + px:.1f}" cy="{py:.1f}" r="2.6" fill="#c2185b"/>'
            )
        parts.append(
            f'<text x="{x0 + 160}" y="262" font-size="18" text-anchor="middle">OKS {wanted}</text>'
        )
    return svg(960, 276, parts, "The same horse with predictions of three similarities")


def _scaled_to_oks(shift: np.ndarray, area: float, sigmas: np.ndarray, wanted: float) -> np.ndarray:
    """Scale the shifts (K, 2) until the mean similarity of the points is the wanted one."""
    low, high = 0.0, 60.0
    for _ in range(40):
        factor = (low + high) / 2
        distance = factor * np.linalg.norm(shift, axis=1)
        if oks(distance[None], np.array([area]), sigmas).mean() > wanted:
            low = factor
        else:
            high = factor
    return factor * shift
