from pathlib import Path

import cv2
import numpy as np
import pytest

from equikpt.suggestions.candidates import Candidate, Sources
from equikpt.suggestions.suggest import frames_at

FPS = 10


@pytest.fixture
def film(tmp_path) -> Path:
    """Forty frames, each as bright as its number."""
    path = tmp_path / "trot.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (32, 32))
    for number in range(40):
        writer.write(np.full((32, 32, 3), 5 * number, np.uint8))
    writer.release()
    return path


def write_image(path: Path) -> Path:
    cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))
    return path


def brightness(image: np.ndarray) -> int:
    return round(float(image.mean()) / 5)


def test_frames_come_at_their_times_with_the_next_one(film):
    sources = Sources([film], every_s=0.5)
    found = list(sources)
    assert [each.candidate.frame for each in found] == [0, 5, 10, 15, 20, 25, 30, 35]
    assert len(sources) == len(found)
    assert [each.candidate.time_s for each in found[:3]] == [0, 0.5, 1]
    assert found[1].candidate.name == "trot_000005.png"
    for each in found:
        assert brightness(each.image) == each.candidate.frame
        assert brightness(each.following) == each.candidate.frame + 1


@pytest.mark.parametrize("every_s", [0.01, 0.25, 0.5])
def test_a_later_run_goes_on_with_the_same_frames(film, tmp_path, every_s):
    image = write_image(tmp_path / "a.png")
    whole = [each.candidate for each in Sources([film, image], every_s)]
    assert whole[0] == Candidate(image, "a.png")
    for skip in range(len(whole) + 1):
        rest = [each.candidate for each in Sources([film, image], every_s).after(skip)]
        assert rest == whole[skip:]


def test_the_last_frame_has_none_after_it(film):
    assert [each.following is None for each in Sources([film], every_s=3.9)] == [False, True]


def test_folders_hold_images_and_videos(film, tmp_path):
    write_image(tmp_path / "b.png")
    sources = Sources([tmp_path], every_s=1)
    assert [path.name for path in sources.images] == ["b.png"]
    assert [clip.path.name for clip in sources.clips] == ["trot.avi"]


def test_notes_beside_videos_are_no_images(film, tmp_path):
    (tmp_path / "notes.txt").write_text("trot")
    assert Sources([tmp_path], every_s=1).images == []


def test_two_of_one_name_are_refused(film, tmp_path):
    with pytest.raises(ValueError, match="2 of the name trot"):
        Sources([film, write_image(tmp_path / "trot.png")], every_s=1)


def test_candidates_survive_json():
    candidate = Candidate(Path("a.mp4"), "a_000003.png", 3, 0.12)
    assert Candidate.from_dict(candidate.to_dict()) == candidate


def test_frames_are_found_again_by_their_numbers(film):
    assert [(n, brightness(image)) for n, image in frames_at(film, {7: 0, 31: 1})] == [
        (7, 7),
        (31, 31),
    ]
