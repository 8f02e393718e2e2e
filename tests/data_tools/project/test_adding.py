import json

import cv2
import numpy as np
import pytest

from equikpt.data_tools.project.adding import add_labels
from equikpt.data_tools.project.labels import read_labels
from tests.data_tools.project.conftest import NAMES, POSE


@pytest.fixture
def project(make, tmp_path):
    make()
    return tmp_path / "cat"


@pytest.fixture
def further(tmp_path):
    """``further(names, pixels)``: folder of a further export; images are new ones but for these."""

    def call(names, pixels=None, keypoints=NAMES):
        folder = tmp_path / "further"
        (folder / "images").mkdir(parents=True, exist_ok=True)
        rng, images, annotations = np.random.default_rng(7), [], []
        for number, name in enumerate(names, 1):
            image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            image = (pixels or {}).get(name, cv2.GaussianBlur(image, (0, 0), 1))
            cv2.imwrite(str(folder / "images" / name), image)
            images.append(dict(id=number, file_name=name, width=64, height=48))
            row = dict(bbox=[4, 12, 50, 28], area=700, iscrowd=0, num_keypoints=4)
            points = np.array(POSE, float).ravel().tolist()
            annotations.append(
                dict(id=number, image_id=number, category_id=1, keypoints=points, **row)
            )
        category = dict(id=1, name="Katze", keypoints=list(keypoints), skeleton=[[1, 2]])
        content = dict(images=images, annotations=annotations, categories=[category])
        (folder / "labels.json").write_text(json.dumps(content))
        return folder

    return call


def names_of(project) -> dict[str, list[str]]:
    contents = read_labels(project / "data")
    return {part: [i["file_name"] for i in each["images"]] for part, each in contents.items()}


def test_new_images_are_trained_on_and_the_others_stay(project, further):
    before, lines = names_of(project), []
    add_labels(project, further(["dog_x.png", "dog_y.png"]), log=lines.append)
    after = names_of(project)
    assert after["train"] == [*before["train"], "dog_x.png", "dog_y.png"]
    assert after["val"] == before["val"]
    assert "added: 2 to train" in lines
    for part, content in read_labels(project / "data").items():
        ids = [image["id"] for image in content["images"]]
        assert len(set(ids)) == len(ids)
        assert {row["image_id"] for row in content["annotations"]} == set(ids)
        for image in content["images"]:
            assert (project / "data" / "images" / part / image["file_name"]).is_file()
    assert not (project / ".init" / "added").exists()


def test_a_copy_of_a_validation_image_goes_there(project, further):
    name = names_of(project)["val"][0]
    pixels = cv2.imread(str(project / "data" / "images" / "val" / name))
    lines = []
    add_labels(
        project,
        further(["new.png", "copy.png"], {"copy.png": cv2.add(pixels, 3)}),
        log=lines.append,
    )
    after = names_of(project)
    assert "copy.png" in after["val"]
    assert "new.png" in after["train"]
    assert any(line.startswith("1 go with images") for line in lines)


def test_frames_of_a_video_go_where_it_is(project, further):
    """The export's twelve images are of one number each, and parted: their names show no videos."""
    contents = read_labels(project / "data")
    for part, content in contents.items():
        for number, image in enumerate(content["images"]):
            old = project / "data/images" / part / image["file_name"]
            image["file_name"] = f"{'bella' if part == 'train' else 'nora'}_{number:03d}.png"
            old.rename(old.with_name(image["file_name"]))
        (project / f"data/annotations/{part}.json").write_text(json.dumps(content))
    add_labels(
        project, further(["nora_900.png", "bella_900.png", "fuchs_1.png"]), log=list().append
    )
    after = names_of(project)
    assert "nora_900.png" in after["val"]
    assert {"bella_900.png", "fuchs_1.png"} < set(after["train"])


def test_labels_that_are_there_are_replaced_only_when_asked(project, further):
    name = names_of(project)["val"][0]
    export = further([name])
    text = (project / "data" / "annotations" / "val.json").read_text()
    with pytest.raises(FileExistsError, match="--overwrite"):
        add_labels(project, export, log=list().append)
    assert (project / "data" / "annotations" / "val.json").read_text() == text
    add_labels(project, export, overwrite=True, log=list().append)
    assert sorted(names_of(project)["val"]) == sorted(set(names_of(project)["val"]))
    content = read_labels(project / "data")["val"]
    (image,) = [each for each in content["images"] if each["file_name"] == name]
    (row,) = [each for each in content["annotations"] if each["image_id"] == image["id"]]
    assert row["keypoints"] == np.array(POSE, float).ravel().tolist()


def test_init_goes_on_as_before(project, further, make):
    add_labels(project, further(["dog_x.png"]), log=list().append)
    lines = make()
    assert any("kept" in line for line in lines)
    assert "dog_x.png" in names_of(project)["train"]


def test_other_keypoints_and_no_project_are_refused(project, further, tmp_path):
    other = further(["dog_x.png"], keypoints=("Nase", "Ohr_li", "Ohr_re", "Pfote"))
    with pytest.raises(ValueError, match="expected the keypoints of"):
        add_labels(project, other, log=list().append)
    with pytest.raises(ValueError, match="is no project yet"):
        add_labels(tmp_path / "none", other, log=list().append)
    assert "dog_x.png" not in names_of(project)["train"]
