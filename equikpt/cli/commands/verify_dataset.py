from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from equikpt.cli import options as declare
from equikpt.cli.options import option, required
from equikpt.data_tools.verify import METAINFOS


@dataclass(frozen=True, kw_only=True)
class VerifyDatasetOptions(declare.ReadsImages):
    """Look for mistakes in COCO keypoint files and their images, before a training learns them.

    Exit code 0: no errors; 1: errors, with which training or evaluation would be wrong; 2: wrong
    call. Warnings and information do not change it.
    """

    ann_file: Sequence[Path] = required(
        "COCO keypoint JSON; several, such as training and validation, are examined as one set, "
        "which shows images that are in both"
    )
    img_dir: Sequence[Path] = declare.img_dir(
        "folder of the images: one for all files, or one for each (default: images are not looked "
        "at)",
        default=(),
    )
    metainfo: str | None = option(
        f"keypoints to check against: {', '.join(METAINFOS)} or a keypoint set's file (default: "
        "those that the file names)",
        metavar="SET",
    )
    json: Path | None = option("write everything found", metavar="out.json")
    csv: Path | None = option("write a line for each issue", metavar="out.csv")
    report: Path | None = option("write a page with thumbnails", metavar="out.html")
    overwrite: bool = declare.overwrite()


def main(argv: list[str] | None = None) -> int:
    """Print the issues and write what was asked for; 1 when there are errors."""
    options = declare.parse(VerifyDatasetOptions, argv)
    from equikpt.core.files import refuse_existing, write_text
    from equikpt.data_tools.verify.run import summary, to_csv, to_json, verify
    from equikpt.report.html.label_page import to_html

    outputs = ((options.json, to_json), (options.csv, to_csv), (options.report, to_html))
    for path, _ in outputs:
        if path is not None:
            refuse_existing(path, options.overwrite)
    result = verify(options.ann_file, options.img_dir, options.metainfo)
    print("\n".join(summary(result)))
    for path, render in outputs:
        if path is not None:
            write_text(path, render(result))
            print(f"written: {path}")
    return int(result.count("error") > 0)
