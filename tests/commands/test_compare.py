from pathlib import Path

import numpy as np
from PIL import Image

from tests.cli import Blurdm


def blurred(photo: Path) -> Path:
    path = photo.with_name("after.png")
    Image.open(photo).resize((45, 35)).resize((90, 70)).save(path)
    return path


def test_a_picture_and_a_page_are_written_beside_the_second_photo(
    blurdm: Blurdm, photo: Path
) -> None:
    after = blurred(photo)
    result = blurdm("compare", photo, after)

    wanted = [photo.with_name(f"after.compare{suffix}") for suffix in (".png", ".html")]
    assert result.code == 0
    assert result.out.splitlines() == [str(path) for path in wanted]
    assert np.asarray(Image.open(wanted[0])).shape[2] == 3
    assert "<html" in wanted[1].read_text(encoding="utf-8")
    assert "score" in result.err


def test_what_is_there_is_not_replaced_unless_asked(blurdm: Blurdm, photo: Path) -> None:
    after, page = blurred(photo), photo.with_name("page.html")
    page.write_text("mine")

    assert blurdm("compare", photo, after, "-o", page).code == 5
    assert page.read_text() == "mine"
    assert blurdm("compare", photo, after, "-o", page, "--overwrite").code == 0
    assert page.read_text(encoding="utf-8") != "mine"
    assert blurdm("compare", photo, after, "-o", photo, "--overwrite").code == 5


def test_photos_that_cannot_be_compared_are_told_in_one_line(blurdm: Blurdm, photo: Path) -> None:
    other = photo.with_name("other.png")
    Image.new("RGB", (70, 90)).save(other)
    for after, code in ((other, 2), (photo.with_name("missing.png"), 3)):
        result = blurdm("compare", photo, after, "-o", photo.with_name("x.html"))
        assert (result.code, result.err.count("error:")) == (code, 1)
    assert blurdm("compare", photo, photo, "-o", photo.with_name("x.bmp")).code == 2
    assert {path.name for path in photo.parent.iterdir()} == {"photo.jpg", "other.png"}
