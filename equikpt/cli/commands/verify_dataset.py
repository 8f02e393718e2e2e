from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from equikpt.cli import options as declare
from equikpt.cli.options import argument, option
from equikpt.data_tools.verify import METAINFOS


@dataclass(frozen=True, kw_only=True)
class VerifyDatasetOptions(declare.ReadsImages):
    """Look for mistakes in COCO keypoint files and their images, before a training learns them.

    Exit code 0: no errors; 1: errors, with which training or evaluation would be wrong; 2: wrong
    call. Warnings and information do not change it.
    """

    project: Path | None = argument(
        "a project of init, in place of --ann-file, --img-dir and --metainfo",
        default=None,
        nargs="?",
        metavar="DIR",
    )
    ann_file: Sequence[Path] = option(
        "COCO keypoint JSON; several, such as training and validation, are examined as one set, "
        "which shows images that are in both",
        default=(),
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
    from equikpt.data_tools.verify.run import summary, to_csv, to_json, verify
    from equikpt.report.html.label_page import to_html
    from equikpt_runtime.files import refuse_existing, write_text

    outputs = ((options.json, to_json), (options.csv, to_csv), (options.report, to_html))
    for path, _ in outputs:
        if path is not None:
            refuse_existing(path, options.overwrite)
    result = verify(*labels_of(options))
    print("\n".join(summary(result)))
    for path, render in outputs:
        if path is not None:
            write_text(path, render(result))
            print(f"written: {path}")
    return int(result.count("error") > 0)


def labels_of(options: VerifyDatasetOptions) -> tuple[Sequence[Path], Sequence[Path], str | None]:
    """Annotation files, folders of their images and the keypoint set, as given or a project's."""
    given = options.ann_file, options.img_dir, options.metainfo
    if options.project is None:
        if not options.ann_file:
            raise ValueError("no labels to look at; name a project, or files by --ann-file")
        return given
    if any(given):
        raise ValueError(
            f"{options.project} brings its own labels; leave --ann-file, --img-dir and --metainfo "
            "out, or name no project"
        )
    from equikpt.data_tools.convert.writer import image_folder
    from equikpt.data_tools.project.labels import label_files

    data = options.project / "data"
    files = label_files(data)
    if not files:
        raise FileNotFoundError(
            f"no labels in {data}; make a project by init, or name files by --ann-file"
        )
    folders = [image_folder(data, name) for name in files]
    return [*files.values()], folders, str(options.project / "keypoints.py")
