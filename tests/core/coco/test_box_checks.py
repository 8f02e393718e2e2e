import pytest

from equikpt.core.coco.box_checks import check_boxes


def content(change=lambda row: None, count: int = 12) -> dict:
    """Animals all over images of 200 x 100 px, three points and a box of 40 x 30 px each."""
    rows = []
    for index in range(count):
        x, y = 10 + 140 * index // count, 5 + 60 * (index % 4) // 4
        points = [x + 3, y + 4, 2, x + 37, y + 6, 1, x + 20, y + 26, 2]
        rows.append(dict(id=index, image_id=1, bbox=[x, y, 40, 30], area=600, keypoints=points))
        change(rows[-1])
    return dict(images=[dict(id=1, width=200, height=100)], annotations=rows)


def boxes(form):
    def change(row):
        row["bbox"] = form(*row["bbox"])

    return change


corners = boxes(lambda x, y, width, height: [x, y, x + width, y + height])
centres = boxes(lambda x, y, width, height: [x + width / 2, y + height / 2, width, height])
fractions = boxes(lambda x, y, width, height: [x / 200, y / 100, width / 200, height / 100])


def loose_corners(row):
    """Every fourth box is too small for its points, as in COCO."""
    if row["id"] % 4 == 0:
        row["bbox"][2] = 20
    corners(row)


def points_too(row):
    scales = (200, 100, 1) * 3
    row["keypoints"] = [x / scale for x, scale in zip(row["keypoints"], scales, strict=True)]
    fractions(row)


def crowds(row):
    row["iscrowd"] = int(row["id"] < 3)


def small(row):
    row["area"] = 60 if row["id"] < 6 else 600


def one_small(row):
    row["area"] = 60 if row["id"] == 20 else 600


@pytest.mark.parametrize(
    ("change", "code", "shown", "count"),
    [
        (corners, "box_form", ("[left, top, right, bottom]", "100%"), 12),
        (loose_corners, "box_form", ("[left, top, right, bottom]", "75%"), 12),
        (centres, "box_form", ("[x, y, width, height] with x, y the centre", "100%"), 12),
        (fractions, "box_form", ("fractions of the image", "100%"), 12),
        (points_too, "fractions", (), 12),
        (crowds, "crowd", ("3 of 12 (25%)",), 3),
        (small, "area_far_below_box", ("6 of 12 (50%)",), 6),
    ],
)
def test_most_rows_of_one_kind_are_one_issue_with_their_share(change, code, shown, count):
    (issue,) = check_boxes(content(change))
    assert (issue.code, len(issue.examples)) == (code, count)
    assert all(words in issue.message for words in shown)


@pytest.mark.parametrize(("change", "count"), [(lambda row: None, 12), (one_small, 24)])
def test_a_valid_file_and_a_thin_animal_are_no_issue(change, count):
    assert check_boxes(content(change, count)) == []


def test_two_boxes_tell_nothing():
    assert check_boxes(content(corners, 2)) == []
