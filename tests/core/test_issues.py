import random

import pytest

from equikpt.core.issues import (
    CODES,
    SEVERITIES,
    Issue,
    IssueError,
    Subject,
    errors,
    format_examples,
    format_issues,
    merged,
    refuse_errors,
    worst_first,
)


@pytest.mark.parametrize("code", CODES)
def test_every_row_is_whole(code):
    assert CODES[code].severity in SEVERITIES
    assert all(CODES[code])


def test_severity_and_advice_are_those_of_the_code_unless_given():
    plain = Issue("no_area", "areas are absent")
    assert (plain.severity, plain.fix) == ("error", CODES["no_area"].fix)
    own = Issue("no_area", "areas are absent", fix="do this", severity="info")
    assert (own.severity, own.fix) == ("info", "do this")
    assert Issue("plateau", "no gain", "stop", "info").title == "plateau"


@pytest.mark.parametrize(("code", "severity"), [("plateau", ""), ("no_area", "fatal")])
def test_a_severity_that_there_is_not_is_refused(code, severity):
    with pytest.raises(ValueError, match=code):
        Issue(code, "", severity=severity)


def test_errors_come_first_and_then_what_is_surest():
    ordered = [
        Issue("repeated_id", "", score=0),
        Issue("labelled_at_origin", "", score=2),
        Issue("labelled_at_origin", "", score=1),
        Issue("swapped_sides", "", score=99),
        Issue("overfitting", "", severity="warning", score=100),
        Issue("near_duplicate", "", score=100),
    ]
    mixed = random.Random(0).sample(ordered, len(ordered))
    assert worst_first(mixed) == ordered
    assert errors(mixed) == [issue for issue in mixed if issue.severity == "error"]


@pytest.mark.parametrize(
    ("count", "text"),
    [(1, "a0"), (5, "a0, a1, a2, a3, a4"), (6, "6 in all: a0, a1, a2, a3, a4, …")],
)
def test_at_most_five_examples_are_shown_with_the_count(count, text):
    examples = tuple(f"a{index}" for index in range(count))
    assert format_examples(examples) == text
    assert Issue("no_area", "w", examples=examples).sentence == f"w ({text})"


def test_issues_of_one_kind_are_one_line():
    """The golden message of the family."""
    kinds = [("no area", "annotation 1"), ("no box", "annotation 2"), ("no area", "annotation 3")]
    issues = [
        Issue("no_area", message, "add it", subject=Subject(annotation_id=row), examples=(example,))
        for row, (message, example) in enumerate(kinds)
    ]
    assert format_issues(issues) == [
        "no area (annotation 1, annotation 3); add it",
        "no box (annotation 2); add it",
    ]
    assert [issue.subject.annotation_id for issue in merged(issues)] == [0, 1]


def test_a_subject_is_completed():
    issue = Issue("no_area", "w", subject=Subject(annotation_id=3)).of(file="a.json")
    assert issue.subject == Subject(file="a.json", annotation_id=3)


def test_errors_stop_with_all_of_them_and_nothing_else_does():
    warning = Issue("crowd", "crowds")
    refuse_errors([warning], "a.json")
    wrong = [Issue("no_area", "no area"), Issue("field", "no name")]
    with pytest.raises(IssueError, match=r"^a.json: no area; .* - no name; ") as caught:
        refuse_errors([wrong[0], warning, wrong[1]], "a.json")
    assert caught.value.issues == tuple(wrong)
    assert IssueError("text").issues == ()  # as torch raises it anew, with the message alone
