import cv2
import numpy as np

HEIGHT, WIDTH = 320 + 18, 320  # of a cell with its caption


def cells(image: np.ndarray, count: int) -> list[np.ndarray]:
    """The first cells of a sheet in rows of four, without captions."""
    corners = [(number // 4 * HEIGHT, number % 4 * WIDTH) for number in range(count)]
    return [image[top : top + 320, left : left + 320] for top, left in corners]


def test_samples_are_drawn_with_their_points(call_tool, sample_data, tmp_path):
    out = tmp_path / "sheet.png"
    arguments = ("smoke/rtmpose_m_ap10k", "--data-root", sample_data, "--out", out)
    assert f"written: {out}" in call_tool("browse_dataset", *arguments, "--count", 6)
    image = cv2.imread(str(out))
    assert image.shape[:2] == (2 * HEIGHT, 4 * WIDTH)
    for cell in cells(image, 6):  # the green of left points
        assert (np.abs(cell.astype(int) - (0, 255, 0)).max(axis=2) < 40).any()
    assert "overwrite" in call_tool("browse_dataset", *arguments, code=2)


def test_each_augmentation_is_shown_alone(call_tool, sample_radiographs, tmp_path):
    """Radiographs have seven steps beyond the plain pipeline, of which one only drops points."""
    config, out = "td-hm_efficientnet-lite0_p1p2-512x512", tmp_path / "each.png"
    call_tool("browse_dataset", config, "--data-root", sample_radiographs, "--out", out, "--each")
    plain, *changed = cells(cv2.imread(str(out)), 8)
    differ = [np.abs(cell.astype(int) - plain).mean() > 0.2 for cell in changed]
    assert differ == [True, False, True, True, True, True, True]
