"""The report of a run: one HTML file with everything in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from equikpt.report.evaluation import Evaluation
from equikpt.report.html import keypoint_sections
from equikpt.report.html.document import document
from equikpt.report.html.examples import MOST_PICTURE_BYTES, draw_pictures
from equikpt.report.html.markup import Section
from equikpt.report.html.page_template import SCRIPT, STYLE
from equikpt.report.html.run_sections import curves, reproduction, what_was_trained
from equikpt.report.html.score_sections import by_picture, key_figures, picture_cards, scores
from equikpt.report.run.facts import config_name
from equikpt.report.run.run_folder import Run

POSES = (
    "Left the truth, right the prediction, with lines from the true to the predicted points. "
    "Hollow points are hidden or uncertain. Ranked by the mean error over labelled points, among "
    "instances with at least half as many labels as the most labelled."
)
FILMS = "Truth green, prediction red, the surroundings of the ruler. Ranked by the worse mark."
OTHERS = "Left the truth, right the prediction."
NOT_POSES = (
    "Single keypoints with intervals, calibration and left and right are left out: they need whole "
    "poses, one prediction for each labelled instance, with its box and area."
)


@dataclass(frozen=True)
class Report:
    """What goes into a page.

    Args:
        run: The run.
        evaluation: Of its test; None without.
        commands: What each does, and the line.
        notes: Sentences on what is left out.
    """

    run: Run
    evaluation: Evaluation | None
    commands: Sequence[tuple[str, str]]
    notes: Sequence[str] = field(default=())


def to_html(report: Report, most_picture_bytes: int = MOST_PICTURE_BYTES) -> str:
    """The page.

    Args:
        report: What goes into it.
        most_picture_bytes: Of all pictures, as text.
    """
    run, evaluation = report.run, report.evaluation
    notes, tiles = list(report.notes), ""
    versions = evaluation.versions if evaluation is not None else {}
    sections = [what_was_trained(run, versions), curves(run)]
    if evaluation is not None:
        more, tested = _tested(evaluation, most_picture_bytes)
        tiles = key_figures(evaluation, more)
        sections += tested
        if evaluation.parts is None:
            notes.append(NOT_POSES)
    sections.append(reproduction(report.commands))
    shown = [section for section in sections if section.html]
    lead = f"Trained with {config_name(run)} until {run.sessions['end'].iloc[-1]:%Y-%m-%d %H:%M}"
    body = "\n".join(
        [
            f"<p class=lead>{escape(lead)}</p>",
            *(f"<p class=note>{escape(note)}</p>" for note in notes),
            tiles,
            _links(shown),
            *(_section(section) for section in shown),
        ]
    )
    return document(f"{run.name}: report of a run", body, STYLE, SCRIPT)


def _tested(evaluation: Evaluation, most_bytes: int) -> tuple[str, list[Section]]:
    """Tiles to add, and the sections on the test."""
    pictures, unread = draw_pictures(evaluation, most_bytes)
    if evaluation.parts is None:
        tells = FILMS if "LandmarkError" in evaluation.tables else OTHERS
        cards = picture_cards(pictures, unread, tells)
        return "", [scores(evaluation), cards, by_picture(evaluation)]
    found = keypoint_sections.confidence_of(evaluation)
    return keypoint_sections.confidence_tile(found), [
        scores(evaluation),
        keypoint_sections.by_keypoint(evaluation),
        keypoint_sections.errors(evaluation),
        keypoint_sections.confidence(found),
        keypoint_sections.sides(evaluation),
        picture_cards(pictures, unread, POSES),
        keypoint_sections.by_instance(evaluation),
    ]


def _links(sections: Sequence[Section]) -> str:
    links = (f'<a href="#{section.name}">{escape(section.title)}</a>' for section in sections)
    return f'<nav aria-label="Sections">{"".join(links)}</nav>'


def _section(section: Section) -> str:
    return f"<section id={section.name}><h2>{escape(section.title)}</h2>{section.html}</section>"
