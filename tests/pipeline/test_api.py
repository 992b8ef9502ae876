"""The Python API: what it takes and gives, and that threads may share it."""

import inspect
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import blurdm_cli
from blurdm_cli import BlurdmError, Deblurrer, deblur_file
from blurdm_cli.errors import InputError, OutputError, UsageError
from tests.cli import TINY, Blurdm

OPTIONS = {"model": "blurdm-tiny", "precision": "fp32"}


@pytest.fixture(scope="module")
def deblurrer() -> Deblurrer:
    return Deblurrer.open("blurdm-tiny", precision="fp32")


def test_the_public_names_are_there_and_documented() -> None:
    assert set(blurdm_cli.__all__) == {"BlurdmError", "Deblurrer", "__version__", "deblur_file"}
    assert set(dir(blurdm_cli)) == set(blurdm_cli.__all__)
    for name in ("BlurdmError", "Deblurrer", "deblur_file"):
        assert inspect.getdoc(getattr(blurdm_cli, name))
    assert Path(blurdm_cli.__file__).with_name("py.typed").exists()
    with pytest.raises(AttributeError):
        blurdm_cli.nothing  # noqa: B018


def test_a_file_is_written_as_the_command_line_writes_it(
    blurdm: Blurdm, photo: Path, tmp_path: Path
) -> None:
    written = deblur_file(photo, tmp_path / "api.jpg", quality=90, **OPTIONS)
    assert written == tmp_path / "api.jpg"
    blurdm("deblur", photo, "-o", tmp_path / "cli.jpg", "--quality", 90, *TINY)
    assert written.read_bytes() == (tmp_path / "cli.jpg").read_bytes()
    assert deblur_file(str(photo), **OPTIONS) == tmp_path / "photo.deblurred.jpg"


def test_errors_are_those_of_the_command_line(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "there.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        deblur_file(photo, tmp_path / "there.png", **OPTIONS)
    assert (tmp_path / "there.png").read_bytes() == b"mine"
    with pytest.raises(InputError, match="There is no"):
        deblur_file(tmp_path / "none.jpg", tmp_path / "a.png", **OPTIONS)
    with pytest.raises(InputError, match="folder"):
        deblur_file(tmp_path, **OPTIONS)
    with pytest.raises(UsageError, match="not a supported output format"):
        deblur_file(photo, tmp_path / "a.xyz", **OPTIONS)
    with pytest.raises(TypeError, match="qualitty"):
        deblur_file(photo, qualitty=3)
    assert issubclass(InputError, BlurdmError)


def test_file_urls_are_paths_and_other_urls_are_refused(photo: Path, tmp_path: Path) -> None:
    target = tmp_path / "a b.png"
    made = deblur_file(photo.as_uri(), target.as_uri(), model="blurdm-tiny")
    assert made == target
    assert target.exists()
    for words in (("s3://bucket/a.jpg",), (photo, "gs://bucket/a.jpg")):
        with pytest.raises(UsageError, match=r"takes paths, not (s3|gs)://") as refused:
            deblur_file(*words, model="blurdm-tiny")
        assert "blurdm deblur" in str(refused.value.hint)


def test_arrays_images_and_paths_give_the_same_pixels(deblurrer: Deblurrer, photo: Path) -> None:
    image = Image.open(photo)
    from_array = deblurrer(np.asarray(image))
    from_image = deblurrer(image)
    assert from_image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(from_image), from_array)
    np.testing.assert_array_equal(deblurrer(photo), from_array)
    np.testing.assert_array_equal(deblurrer(str(photo)), from_array)


def test_an_image_keeps_its_transparency(deblurrer: Deblurrer, photo: Path) -> None:
    image = Image.open(photo).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    restored = deblurrer(image)
    assert restored.mode == "RGBA"
    assert restored.getchannel("A").tobytes() == image.getchannel("A").tobytes()
    with pytest.raises(ValueError, match="CMYK"):
        deblurrer(Image.new("CMYK", (9, 9)))


def test_values_out_of_range_are_refused(deblurrer: Deblurrer) -> None:
    with pytest.raises(ValueError, match="not in"):
        deblurrer(np.full((4, 4, 3), 2, np.float32))


@pytest.mark.parametrize("runtime", ["onnx", "openvino", "torch"])
def test_threads_that_share_a_deblurrer_get_their_own_pictures(runtime: str) -> None:
    shared = Deblurrer.open("blurdm-tiny", runtime=runtime, device="cpu", precision="fp32")
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, (40 + 9 * n, 70, 3), dtype=np.uint8) for n in range(6)]
    alone = [shared(photo) for photo in photos]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(shared, photos))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_photos_are_restored_without_ffmpeg(photo: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from blurdm_cli import deblur_file;"
        f"deblur_file({str(photo)!r}, {str(tmp_path / 'out.png')!r}, model='blurdm-tiny');"
        "assert not {'av', 'fsspec', 'torch'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "out.png").exists()
