"""The page in a headless browser: it predicts what onnxruntime does on MMPose's crops."""

import csv
import functools
import json
import os
import shutil
from contextlib import ExitStack

import cv2
import numpy as np
import onnxruntime
import pytest
from mmpose.datasets.transforms import BottomupResize, GetBBoxCenterScale, TopdownAffine
from PIL import Image

from equikpt.core.image import read_image
from equikpt.export.page import ort_files, write_page
from equikpt_runtime.boxes import whole_image
from equikpt_runtime.cells import csv_text
from tests.export import made_models
from tests.export.pages import OpenPage, browser, npm_package, served

TASKS = ("keypoints", "peaks", "points", "ruler")
BOX = (33.5, 20.0, 150.0, 101.25)


@pytest.fixture(scope="module")
def opened():
    with browser() as it:
        yield it


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """The folder of pages and models, one a task."""
    folder, ort = tmp_path_factory.mktemp("sites"), ort_files(npm_package())
    for task in TASKS:
        model, site = folder / f"{task}.onnx", folder / task
        metadata = made_models.write(model, task)
        if task == TASKS[0]:
            write_page(model, metadata, site, ort)
            continue
        link_site(folder / TASKS[0], site, metadata)
        (site / "model.onnx").unlink()
        shutil.copy(model, site / "model.onnx")
    return folder


def link_site(site, copy, metadata: dict) -> None:
    """The same page with other metadata; its large files are links."""
    shutil.copytree(site, copy, copy_function=os.link)
    (copy / "model.json").unlink()
    (copy / "model.json").write_text(json.dumps(metadata))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A photo to be turned, one with alpha, a gray one, and a white one, by name."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(4)
    blurred = cv2.GaussianBlur(rng.normal(0, 1, (121, 163, 3)), (0, 0), 12)
    photo = cv2.normalize(blurred, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    paths = {name: folder / f"{name}.png" for name in ("alpha", "gray", "white", "deep")}
    paths["turned"] = folder / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # turn to the right
    Image.fromarray(photo).save(paths["turned"], exif=exif, quality=95)
    alpha = rng.integers(0, 256, (121, 163, 1), dtype=np.uint8)
    cv2.imwrite(str(paths["alpha"]), np.dstack([photo, alpha]))
    cv2.imwrite(str(paths["gray"]), photo[..., 0])
    cv2.imwrite(str(paths["white"]), np.full_like(photo, 255))
    cv2.imwrite(str(paths["deep"]), photo.astype(np.uint16) * 16)
    return paths


def mmpose_crop(image: np.ndarray, rule: dict, box) -> dict:
    """The crop that MMPose's transforms make, with its place."""
    results = dict(img=image, ori_shape=image.shape[:2], bbox=np.asarray(box, np.float32)[None])
    if rule["rule"] == "fit":
        return BottomupResize(made_models.SIZE, size_factor=16).transform(results)
    results = GetBBoxCenterScale(rule["padding"]).transform(results)
    return TopdownAffine(made_models.SIZE, use_udp=rule["udp"]).transform(results)


def expected(path, task: str, model, box=None) -> tuple[np.ndarray, dict]:
    """Points (…, 2) in px of the image that onnxruntime finds, and all outputs."""
    image = read_image(path)
    rule = made_models.metadata(task)["input"]["crop"]
    crop = mmpose_crop(image, rule, whole_image(image) if box is None else box)
    pixels = image if task == "ruler" else crop["img"]
    session = onnxruntime.InferenceSession(str(model))
    names = [output.name for output in session.get_outputs()]
    found = session.run(None, {"image": np.ascontiguousarray(pixels[None, ..., ::-1])})
    outputs = dict(zip(names, found, strict=True))
    points = outputs["keypoints"][0]
    if task != "ruler":
        scale, size = crop["input_scale"], crop["input_size"]
        points = points / size * scale + crop["input_center"] - 0.5 * scale
    return points, outputs


@pytest.fixture(scope="module")
def pages(opened, sites):
    """Open the page of a task, once for all tests."""
    with ExitStack() as stack:

        @functools.cache
        def page_of(task):
            it = OpenPage(opened, stack.enter_context(served(sites / task)))
            stack.callback(it.close)
            return it

        yield page_of


@pytest.fixture
def page(pages, request):
    it = pages(getattr(request, "param", "keypoints"))
    yield it
    assert it.faults == []


def points_of(rows: list[dict]) -> np.ndarray:
    return np.array([[float(row["x_px"]), float(row["y_px"])] for row in rows])


CROPS = {
    "udp": dict(rule="box", padding=1.25, udp=True),
    "plain": dict(rule="box", padding=1.0, udp=False),
    "fit": dict(rule="fit"),
}


def test_crops_are_those_of_opencv_to_the_bit(page):
    rng = np.random.default_rng(0)
    width, height = made_models.SIZE
    for name, rule in CROPS.items():
        for size, box in (((37, 71), (3, 2, 30.5, 60)), ((90, 60), (-6, 15.25, 78, 57))):
            image = rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
            found = page.page.evaluate(
                """async ([pixels, width, height, input, box]) => {
                  const { cropOf, warp } = await import("./crop.js");
                  const image = new ImageData(new Uint8ClampedArray(pixels), width, height);
                  const out = new Uint8Array(input.size[0] * input.size[1] * 3);
                  warp(image, cropOf(input, width, height, box), out);
                  return [...out];
                }""",
                [
                    np.dstack([image, image[..., :1]]).ravel().tolist(),
                    *size,
                    dict(size=made_models.SIZE, crop=rule),
                    box,
                ],
            )
            made = mmpose_crop(image, rule, box)["img"]
            assert np.array(found).reshape(height, width, 3).tolist() == made.tolist(), (name, size)


@pytest.mark.parametrize("name", ["turned", "alpha", "gray"])
def test_points_are_those_of_onnxruntime(name, page, images, sites):
    assert page.open(images[name]).startswith("3 keypoints in the whole image")
    rows = page.csv()
    points, outputs = expected(images[name], "keypoints", sites / "keypoints.onnx")
    np.testing.assert_allclose(points_of(rows), points, atol=0.05)
    assert [row["keypoint"] for row in rows] == ["red", "'=green", "blue"]
    assert {row["image"] for row in rows} == {images[name].name}
    scores = [float(row["score"]) for row in rows]
    np.testing.assert_allclose(scores, outputs["scores"][0], atol=0.002)
    seen = [[float(row["presence"]), float(row["seen"])] for row in rows]
    np.testing.assert_allclose(seen, outputs["visibility"][0], atol=0.002)
    shape = read_image(images[name]).shape
    assert (float(rows[0]["right_px"]), float(rows[0]["bottom_px"])) == (shape[1] - 1, shape[0] - 1)
    # the radius is that of the crop, in px of the image
    px = 1.25 * max((shape[1] - 1) / made_models.SIZE[0], (shape[0] - 1) / made_models.SIZE[1])
    radii = [float(row["radius_px"]) for row in rows]
    np.testing.assert_allclose(radii, outputs["radius"][0] * px, rtol=0.02)


def test_boxes_by_keys_and_by_mouse(page, images, sites):
    page.open(images["gray"])
    for name, value in zip(("left", "top", "right", "bottom"), BOX, strict=True):
        page.page.fill(f"#{name}", str(value))
    page.page.press("#bottom", "Enter")
    page.page.wait_for_selector("#status:text-matches('in 1 box')")
    points, _ = expected(images["gray"], "keypoints", sites / "keypoints.onnx", BOX)
    np.testing.assert_allclose(points_of(page.csv()), points, atol=0.05)
    frame = page.page.locator("#view").bounding_box()
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    page.page.mouse.move(x + 50, y + 40, steps=3)
    page.page.mouse.up()
    page.page.wait_for_selector("#status:text-matches('in 2 boxes')")
    rows = page.csv()
    assert [row["animal"] for row in rows] == ["1"] * 3 + ["2"] * 3
    shape = read_image(images["gray"]).shape
    assert float(rows[3]["left_px"]) == pytest.approx(shape[1] / 2, abs=1)
    box = [float(rows[3][f"{side}_px"]) for side in ("left", "top", "right", "bottom")]
    points, _ = expected(images["gray"], "keypoints", sites / "keypoints.onnx", box)
    np.testing.assert_allclose(points_of(rows[3:]), points, atol=0.05)
    page.page.click("#whole")
    page.page.wait_for_selector("#status:text-matches('in the whole')")
    assert len(page.csv()) == 3


def test_what_is_unlike_the_training_has_no_points_unless_asked_for(page, images):
    sentence = "unlike the training images (score 1.00, limit 0.90)"
    page.open(images["white"])
    # black beside the image counts too: a box inside of it is white all over
    for name, value in zip(("left", "top", "right", "bottom"), (50, 40, 90, 80), strict=True):
        page.page.fill(f"#{name}", str(value))
    page.page.click("#box button")
    page.page.wait_for_selector("#status:text-matches('Refused')")
    assert page.status == f"Refused: {sentence}."
    assert page.csv() == []
    page.page.check("#anyway")
    page.page.wait_for_selector("#status:text-matches('in doubt')")
    assert sentence in page.status
    assert len(page.csv()) == 3
    page.page.uncheck("#anyway")


@pytest.mark.slow
@pytest.mark.parametrize("page", ["peaks"], indirect=True)
def test_peaks_are_animals_of_one_point(page, images, sites):
    assert page.open(images["gray"]).startswith("3 peaks")
    rows = page.csv()
    points, _ = expected(images["gray"], "peaks", sites / "peaks.onnx")
    np.testing.assert_allclose(points_of(rows), points[:, 0], atol=0.05)
    assert [row["animal"] for row in rows] == ["1", "2", "3"]


@pytest.mark.slow
@pytest.mark.parametrize("page", ["points"], indirect=True)
def test_points_are_counted_until_they_are_over(page, images, sites):
    assert page.open(images["gray"]) == "Count 2 (1 to 3)" + page.status[16:]
    rows = page.csv()
    points, _ = expected(images["gray"], "points", sites / "points.onnx")
    np.testing.assert_allclose(points_of(rows), points[:2], atol=0.05)
    assert [row["keypoint"] for row in rows] == ["1", "2"]


@pytest.mark.slow
@pytest.mark.parametrize("page", ["ruler"], indirect=True)
def test_a_ruler_gives_mm_a_px_with_its_interval(page, images, sites):
    assert page.open(images["turned"]).startswith(("Refused: score", "Refused: ruler at"))
    assert page.csv() == []
    page.page.check("#anyway")
    page.page.wait_for_selector("#status:text-matches('in doubt')")
    said = page.status
    points, outputs = expected(images["turned"], "ruler", sites / "ruler.onnx")
    np.testing.assert_allclose(points_of(page.csv()), points, atol=0.05)
    distance = np.hypot(*(points[1] - points[0]))
    assert float(said.split()[0]) == pytest.approx(10 / distance, rel=0.01)
    low = 10 / (distance + np.hypot(*outputs["radius"][0]))
    assert float(said.split("(")[1].split()[0]) == pytest.approx(low, rel=0.01)
    assert not page.page.is_visible("#box")


def test_what_cannot_be_read_gets_a_sentence(page, images, tmp_path):
    assert "16 bits" in page.open(images["deep"])
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xffno")
    page.page.set_input_files("#file", str(tmp_path / "broken.jpg"))
    page.page.wait_for_selector("#status.error:text-matches('broken')")
    assert "export it as PNG or JPEG" in page.status
    (tmp_path / "broken.webm").write_bytes(b"no film")
    page.page.set_input_files("#file", str(tmp_path / "broken.webm"))
    page.page.wait_for_selector("#status.error:text-matches('broken.webm')")
    assert not page.page.is_visible("#player")  # whose buttons would wait for ever
    page.faults.clear()  # the browser's own, of the film
    assert page.open(images["gray"]).startswith("3 keypoints")
    assert "error" not in (page.page.get_attribute("#status", "class") or "")


def test_texts_of_the_csv_are_those_of_the_runtime(page):
    texts = ["plain", "=1+1", "'=1", "'x", "''x", "a,b", 'a"b', "-", "x'"]
    script = """async (texts) => (await import("./table.js")).csv(texts.map((text) => [text]))"""
    found = page.page.evaluate(script, texts).split("\n")[1:-1]
    assert found == csv_text([[text] for text in texts]).split("\n")[:-1]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "task"), [(task, task) for task in TASKS], indirect=["page"])
def test_the_csv_is_that_of_the_runtime(page, task, images, sites, tmp_path):
    runtime = pytest.importorskip("equikpt_runtime")
    tables = pytest.importorskip("equikpt_runtime.tables")
    if task == "ruler":
        page.page.check("#anyway")
    page.open(images["turned"])
    rows = page.csv()
    model = runtime.Model(sites / f"{task}.onnx")
    names = None if task == "points" else model.names
    with tables.PlainTable(tmp_path / "table.csv", names) as table:
        table.add(images["turned"].name, model(images["turned"]))
    with open(tmp_path / "table.csv", newline="") as file:
        expected_rows = list(csv.DictReader(file))
    assert [*rows[0]] == [*expected_rows[0]]
    assert len(rows) == len(expected_rows)
    for row, other in zip(rows, expected_rows, strict=True):
        for name, value in other.items():
            if name in ("image", "animal", "keypoint", "time_s") or not value:
                assert row[name] == value, name
            else:
                assert float(row[name]) == pytest.approx(float(value), abs=0.05), name


@pytest.fixture
def film(tmp_path):
    """A WebM of twelve frames, 25 a second, in which a bright block moves to the right."""
    path = tmp_path / "film.webm"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"VP80"), 25, (160, 120))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no WebM")
    for index in range(12):
        frame = np.full((120, 160, 3), 20, np.uint8)
        frame[40:90, 10 * index : 10 * index + 40] = 220
        writer.write(frame)
    writer.release()
    return path


@pytest.mark.slow
def test_all_frames_of_a_video(page, film, tmp_path, sites):
    page.open(film)
    page.page.fill("#fps", "25")
    page.page.click("#all")
    page.page.wait_for_selector("#status:text-matches('Download CSV')")
    rows = page.csv()
    frames = [int(row["image"]) for row in rows]
    assert frames == [index for index in range(12) for _ in range(3)]
    np.testing.assert_allclose(
        [float(row["time_s"]) for row in rows], np.array(frames) / 25, atol=0.002
    )
    capture, model = cv2.VideoCapture(str(film)), sites / "keypoints.onnx"
    for index in range(12):
        cv2.imwrite(str(tmp_path / "frame.png"), capture.read()[1])
        points, _ = expected(tmp_path / "frame.png", "keypoints", model)
        found = points_of(rows[3 * index : 3 * index + 3])
        np.testing.assert_allclose(found, points, atol=2)  # a frame is 10 px; colours differ


@pytest.mark.slow
def test_frames_of_other_boxes_are_not_handed_out(page, film):
    page.open(film)
    page.page.fill("#fps", "25")
    begun = """() => { document.getElementById("all").click();
      return new Promise((done) => setTimeout(() => done(document.getElementById("box").inert)));
    }"""
    assert page.page.evaluate(begun)  # or frames of other boxes would be mixed
    page.page.wait_for_selector("#status:text-matches('Download CSV')")
    assert len({row["image"] for row in page.csv()}) == 12
    for name, value in zip(("left", "top", "right", "bottom"), BOX, strict=True):
        page.page.fill(f"#{name}", str(value))
    page.page.press("#bottom", "Enter")
    page.page.wait_for_selector("#status:text-matches('in 1 box')")
    rows = page.csv()
    assert {row["image"] for row in rows} == {"film.webm"}
    assert {float(row["left_px"]) for row in rows} == {BOX[0]}


@pytest.mark.slow
def test_another_film_while_one_is_predicted(page, film):
    page.open(film)
    page.page.fill("#fps", "25")
    deaf = """() => {
      const own = document.getElementById("video"), add = own.addEventListener;
      own.addEventListener = (name, ...rest) => name === "seeked" || add.call(own, name, ...rest);
    }"""
    page.page.evaluate(deaf)  # a seek that does not end before the next film is there
    page.page.click("#all")
    page.page.wait_for_timeout(500)
    assert page.open(film).startswith("3 keypoints")
    page.page.evaluate("() => { delete document.getElementById('video').addEventListener; }")


@pytest.mark.slow
def test_threads_where_the_server_allows_them(opened, sites, images):
    with served(sites / "keypoints", isolated=True) as address:
        page = OpenPage(opened, address)
        assert "several threads" in page.page.inner_text("#facts")
        assert page.open(images["gray"]).startswith("3 keypoints")
        assert page.faults == []
        page.close()


WATCH = """
window.shifts = 0; window.moved = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    window.shifts += entry.value;
    window.moved.push(...entry.sources.map(({ node }) => node?.outerHTML?.slice(0, 80)));
  }
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.mark.slow
def test_phones_and_desktops_light_and_dark(opened, sites, images):
    with served(sites / "keypoints") as address:
        page = OpenPage(opened, address, viewport=dict(width=390, height=844))
        page.page.evaluate(WATCH)
        page.open(images["turned"])
        assert page.page.evaluate("() => window.shifts") < 0.01, page.page.evaluate("window.moved")
        nameless = """[...document.querySelectorAll("button, input, select")].filter(
          (e) => !(e.labels?.length || e.textContent.trim() || e.ariaLabel)).length"""
        assert page.page.evaluate(nameless) == 0
        grounds = {"light": "rgb(246, 246, 244)", "dark": "rgb(22, 22, 20)"}
        ground = "getComputedStyle(document.body).backgroundColor"
        for width in (390, 1280):
            page.page.set_viewport_size(dict(width=width, height=844))
            assert page.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            for scheme, other in (("light", "dark"), ("dark", "light")):
                page.page.select_option("#theme", "")
                page.page.emulate_media(color_scheme=scheme)
                assert page.page.evaluate(ground) == grounds[scheme]
                page.page.select_option("#theme", other)
                assert page.page.evaluate(ground) == grounds[other]
        assert page.faults == []
        page.close()


@pytest.mark.slow
def test_a_model_of_another_schema_is_refused(opened, sites, tmp_path):
    metadata = {**made_models.metadata("keypoints"), "schema": 2}
    link_site(sites / "keypoints", tmp_path / "site", metadata)
    with served(tmp_path / "site") as address:
        page = OpenPage(opened, address)
        assert "schema 1, not 2" in page.status
        page.close()
