from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from equikpt.cli import options as declare
from equikpt.cli.options import ABOVE_0, argument, number, option, required, whole

if TYPE_CHECKING:
    from equikpt.export import Exported, Metadata


@dataclass(frozen=True, kw_only=True)
class ExportOptions(declare.ReadsImages):
    """Write a trained model as one ONNX file, which runs without torch.

      equikpt export PROJECT --out model.onnx
      equikpt export --config NAME --checkpoint FILE.pth --out model.onnx --images DIR

    The file takes uint8 crops, RGB, and gives keypoints, scores and what else the model says. It is
    compared with the model on real images before it is written. Exit code 2: it differs too much,
    or the input is wrong; nothing is written then.
    """

    project: str | None = argument(
        "a project folder or a run's, which has config and checkpoint",
        None,
        nargs="?",
        metavar="PROJECT",
    )
    config: str | None = option(
        "config of the model: path, name or project folder", metavar="CONFIG"
    )
    checkpoint: Path | None = declare.checkpoint_option()
    refine: Path | None = option(
        "checkpoint of a ruler's second stage, which goes into the same file",
        metavar="FILE.pth|DIR",
    )
    refine_config: str = option(
        "config of that checkpoint",
        metavar="CONFIG",
        default="td-hm_efficientnet-lite0_p1p2-refine-192x192",
    )
    out: Path = required("file to write", metavar="FILE.onnx")
    flip_test: bool | None = option(
        "average with the mirrored crop, in the file (default: as the config says)",
        "--flip-test",
        action="store_true",
        at_most_one_of="flip",
    )
    no_flip_test: bool = option(
        "take the plain crop alone: half the time", default=False, at_most_one_of="flip"
    )
    reader: str | None = option(
        "library that reads the file and decodes by itself: rtmlib",
        "--for",
        choices=("rtmlib",),
    )
    level: float = option(
        "probability that a keypoint lies within its radius",
        default=0.9,
        type=number(ABOVE_0, 1),
        metavar="FRACTION",
    )
    opset: int = option("version of ONNX's operators", default=18, type=whole(17, 19))
    fp16: bool = option(
        "store the weights in float16: half the size", default=False, at_most_one_of="precision"
    )
    int8: bool = option(
        "compute backbone and neck in 8 bits, by the ranges of training images; only where the "
        "validation images lose no more than --max-drop",
        default=False,
        at_most_one_of="precision",
    )
    max_drop: float | None = option(
        "loss of PCK@0.05 up to which 8 bits are written (default: 0.005)",
        type=number(0, 1),
        metavar="FRACTION",
    )
    openvino: bool = option("write OpenVINO's .xml and .bin beside the file as well", default=False)
    images: Path | None = option(
        "folder of images to compare the file with the model on (default: validation images)",
        metavar="DIR",
    )
    image_count: int = option("images to compare on", default=50, type=whole(1))
    parity: bool = option("do not compare; the file says so", default=True)
    web: Path | None = option(
        "folder to write a page to, which runs the file in a browser from any static server",
        metavar="DIR",
    )
    ort_web: Path | None = option(
        "npm package onnxruntime-web, a .tgz or a folder, for machines without network (default: "
        "the user's cache, or fetched into it)",
        metavar="PATH",
    )
    overwrite: bool = declare.overwrite("a file, or a page, that is there")


def main(argv: list[str] | None = None) -> int:
    """Export, and print the file, its size, the differences and what is inside; 0 when done."""
    options = declare.parse(ExportOptions, argv)
    if (options.project is None) == (options.config is None):
        raise ValueError(
            "expected a project folder or --config, got "
            f"{'neither' if options.project is None else 'both'}"
        )
    if options.ort_web and not options.web:
        raise ValueError("expected --web DIR beside --ort-web; name the folder of the page")
    if options.reader and (options.refine or options.int8 or options.openvino or options.web):
        raise ValueError(
            "expected --for rtmlib without --refine, --int8, --openvino and --web: its files are "
            "for rtmlib alone"
        )
    if options.max_drop is not None and not options.int8:
        raise ValueError("expected --max-drop with --int8, whose loss it limits; got it alone")
    print("\n".join(_export(options)))
    return 0


def _export(options: ExportOptions) -> list[str]:
    """Write all files that are asked for, and return what is to be said of them."""
    from equikpt.export import export_model, page
    from equikpt.export.model import check_out
    from equikpt.export.precision import check_openvino, export_int8, write_openvino

    config, xml = options.project or options.config or "", options.out.with_suffix(".xml")
    check_out(options.out, options.overwrite)
    if options.openvino:
        check_openvino(xml, options.overwrite)
    ort = page.prepare(options.web, options.ort_web, options.overwrite) if options.web else {}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "float32.onnx" if options.int8 else options.out
        exported = export_model(
            config,
            path,
            options.checkpoint,
            flip_test=False if options.no_flip_test else options.flip_test,
            level=options.level,
            opset=options.opset,
            images=options.images,
            image_count=options.image_count,
            parity=options.parity,
            half=options.fp16,
            overwrite=options.overwrite,
            refine=options.refine,
            refine_config=options.refine_config,
            reader=options.reader,
        )
        lines = []
        if options.int8:
            limit = {} if options.max_drop is None else dict(max_drop=options.max_drop)
            exported, drop = export_int8(
                exported, options.out, config, overwrite=options.overwrite, **limit
            )
            lines.append(
                f"PCK@0.05 in 8 bits {drop.pck:.4f}, in float32 {drop.pck_float32:.4f}, on "
                f"{drop.instances} validation instances; the differences above are float32's"
            )
    if options.openvino:
        write_openvino(options.out, xml, options.overwrite)
        lines.append(
            f"written: {xml} and .bin; where the CPU has bfloat16, OpenVINO computes in it unless "
            "INFERENCE_PRECISION_HINT is f32"
        )
    if options.web:
        size = page.write_page(exported.path, asdict(exported.metadata), options.web, ort)
        lines += page.serving(options.web, size)
    return [*summary_lines(exported), *lines]


def summary_lines(exported: Exported) -> list[str]:
    """Name a file that was written, with its size, what is inside and its parity."""
    megabytes = exported.path.stat().st_size / 1e6
    return [
        f"written: {exported.path} ({megabytes:.1f} MB)",
        *inside_lines(exported.metadata),
        f"outputs: {', '.join(exported.outputs)}",
        parity_line(exported.metadata),
    ]


def inside_lines(metadata: Metadata) -> list[str]:
    """State what a file holds."""
    width, height = metadata.input["size"]
    absent = len(metadata.trained) - sum(metadata.trained)
    content = (
        f"{len(metadata.keypoints)} keypoints{f', {absent} of them untrained' if absent else ''}"
    )
    fitted = f"radii and calibrated scores: {_source(metadata.uncertainty)}"
    if metadata.points is not None:
        content = f"up to {metadata.points['max_points']}"
        has_interval = metadata.points["interval"] is not None
        fitted = "intervals of counts: " + (
            f"yes, of {100 * metadata.points['level']:g} %" if has_interval else _source(None)
        )
    return [
        f"{metadata.task} of {metadata.name}: {content}, {width} x {height} px, "
        f"{metadata.precision}{', flip test' if metadata.flip_test else ''}",
        fitted,
        f"refusal of images unlike the training: {_source(metadata.novelty)}",
    ]


def _source(section: dict | None) -> str:
    if section is None:
        return "none, the checkpoint has no record"
    return f"fitted to {section['source']}" if section["source"] else "yes"


def parity_line(metadata: Metadata) -> str:
    """State how far a file is from its model."""
    parity = metadata.parity
    if parity is None:
        return "differences from the model: not measured"
    others = ", ".join(f"{name} {value:.2g}" for name, value in parity["others"].items())
    return (
        f"differences from {parity['against']} on {parity['images']} images: mean "
        f"{parity['mean_px']:.4f} px, at most {parity['max_px']:.4f} px of the input"
        f"{f'; {others}' if others else ''}"
    )
