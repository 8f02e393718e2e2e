import cv2
import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from equikpt.core.image_checks import ListedImage, check_images, loaded_size_px
from equikpt.core.radiograph import dicom_size_px, dicom_spacing_mm, read_radiograph

RAMP = np.linspace(0, 4095, 60 * 40).reshape(60, 40).astype(np.uint16)  # 12 bits of 16


def write_dicom(path, pixels, **header):
    radiograph = pydicom.Dataset()
    radiograph.file_meta = pydicom.dataset.FileMetaDataset()
    radiograph.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    radiograph.file_meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    radiograph.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    rows, columns = pixels.shape[-2:]
    bits = 8 * pixels.itemsize
    shape = dict(Rows=rows, Columns=columns, SamplesPerPixel=1)
    depth = dict(BitsAllocated=bits, BitsStored=bits, HighBit=bits - 1, PixelRepresentation=0)
    kind = dict(PhotometricInterpretation="MONOCHROME2", PixelData=pixels.tobytes())
    for name, value in {**shape, **depth, **kind, **header}.items():
        setattr(radiograph, name, value)
    radiograph.save_as(path, enforce_file_format=True)
    return path


def test_8_bits_stay_as_they_are(tmp_path):
    radiograph = np.random.default_rng(0).integers(40, 90, (60, 40)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "radiograph.png"), radiograph)
    read = read_radiograph(tmp_path / "radiograph.png")
    assert read.shape == (60, 40, 3)
    assert (read == radiograph[..., None]).all()


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_12_bits_of_16_fill_the_range_in_order(tmp_path, suffix):
    path = tmp_path / f"radiograph.{suffix}"
    cv2.imwrite(str(path), RAMP)
    read = read_radiograph(path)[..., 0]
    assert (read.min(), read.max()) == (0, 255)
    assert (np.diff(read.ravel().astype(int)) >= 0).all()
    assert abs(read.astype(float) - RAMP / 4095 * 255).max() < 2
    assert cv2.imread(str(path)).max() < 20  # what the usual flags make of it


def test_a_dicom_radiograph_reads_as_its_image_does(tmp_path):
    cv2.imwrite(str(tmp_path / "radiograph.png"), RAMP)
    path = write_dicom(tmp_path / "radiograph.dcm", RAMP)
    assert (read_radiograph(path) == read_radiograph(tmp_path / "radiograph.png")).all()
    assert dicom_size_px(path) == loaded_size_px(str(path)) == (40, 60)


def test_monochrome1_is_turned_so_that_bone_is_bright(tmp_path):
    plain = read_radiograph(write_dicom(tmp_path / "a.dcm", RAMP)).astype(int)
    negative = write_dicom(tmp_path / "b.dcm", RAMP, PhotometricInterpretation="MONOCHROME1")
    assert abs(read_radiograph(negative).astype(int) - (255 - plain)).max() <= 1


def test_spacing_is_the_patients_else_the_detectors_else_unknown(tmp_path):
    def spacing(**header):
        return dicom_spacing_mm(write_dicom(tmp_path / "a.dcm", RAMP, **header))

    assert spacing(PixelSpacing=[0.09, 0.09], ImagerPixelSpacing=[0.1, 0.1]) == 0.09
    assert spacing(ImagerPixelSpacing=[0.1, 0.1]) == 0.1
    assert spacing() is None
    with pytest.raises(ValueError, match=r"0\.2"):
        spacing(PixelSpacing=[0.1, 0.2])


def test_several_frames_are_refused(tmp_path):
    frames = np.stack([RAMP, RAMP])
    with pytest.raises(OSError, match="it holds 2 frames"):
        read_radiograph(write_dicom(tmp_path / "several.dcm", frames, NumberOfFrames=2))


@pytest.mark.parametrize("mode", ["header", "full"])
def test_the_check_of_images_knows_dicom(tmp_path, mode):
    path = str(write_dicom(tmp_path / "radiograph.dcm", RAMP))
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"no radiograph")
    assert check_images([ListedImage(path, 40, 60)], mode) == []
    (damaged,) = check_images([ListedImage(str(broken), 40, 60)], mode)
    assert damaged.code == "damaged_image"
    (resized,) = check_images([ListedImage(path, 41, 60)], mode)
    assert resized.code == "image_size"


PADDING = {
    "one value": dict(PixelPaddingValue=0),
    "a range": dict(PixelPaddingValue=60_000, PixelPaddingRangeLimit=65_000),
    "a range from its upper end": dict(PixelPaddingValue=65_000, PixelPaddingRangeLimit=60_000),
}


@pytest.mark.parametrize("meaning", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("kind", PADDING)
def test_padding_is_black_and_no_part_of_the_window(tmp_path, kind, meaning):
    header = dict(PADDING[kind], PhotometricInterpretation=meaning)
    bare = read_radiograph(
        write_dicom(tmp_path / "bare.dcm", RAMP + 1, PhotometricInterpretation=meaning)
    )
    padded = np.pad(RAMP + 1, 30, constant_values=header["PixelPaddingValue"])
    read = read_radiograph(write_dicom(tmp_path / "padded.dcm", padded, **header))
    np.testing.assert_array_equal(read[30:-30, 30:-30], bare)
    read[30:-30, 30:-30] = 0
    assert not read.any()


def test_padding_is_found(tmp_path):
    signed = np.pad(RAMP.astype(np.int16), 30, constant_values=-2000)
    path = write_dicom(tmp_path / "a.dcm", signed, PixelRepresentation=1, PixelPaddingValue=-2000)
    assert read_radiograph(path)[30:-30, 30:-30, 0].min() == 0
    assert not read_radiograph(path)[:30].any()
    assert abs(read_radiograph(path)[30:-30, 30:-30, 0].astype(float) - RAMP / 4095 * 255).max() < 2
    radiograph = np.random.default_rng(0).integers(40, 90, (60, 40)).astype(np.uint8)
    padded = np.pad(radiograph, 9, constant_values=255)
    read = read_radiograph(write_dicom(tmp_path / "a.dcm", padded, PixelPaddingValue=255))[..., 0]
    np.testing.assert_array_equal(read, np.pad(radiograph, 9))
