"""Pages that are one file, in a real Chromium without a network: `pytest -m browser`."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from blurdm_cli.photo.slider import slider_page
from blurdm_cli.training.evaluation import Scores
from blurdm_cli.training.report import report_page
from blurdm_cli.training.shown import Shown

pytestmark = pytest.mark.browser

RED, GREEN, BLUE = ((200, 20, 20), (20, 180, 20), (20, 20, 220))
Open = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens a page; fails if it had an error, or loaded something from elsewhere."""
    wrong: list[str] = []
    with browser.new_context(offline=True, viewport={"width": 800, "height": 600}) as context:
        context.set_default_timeout(10_000)

        def open_file(text: str, at: str = "") -> Any:
            path = tmp_path / "page.html"
            path.write_text(text, encoding="utf-8")
            page = context.new_page()
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda message: wrong.append(message.text))
            page.on("request", lambda each: elsewhere(each.url))
            page.goto(f"{path.as_uri()}{at}")
            return page

        def elsewhere(url: str) -> None:
            if not url.startswith((tmp_path.as_uri(), "data:")):
                wrong.append(url)

        yield open_file
    assert not wrong


def plain(*colours: tuple[int, int, int]) -> list[np.ndarray]:
    """Photos of one colour each."""
    return [np.full((120, 200, 3), colour, np.uint8) for colour in colours]


def widths(page: Any, *colours: tuple[int, int, int]) -> list[int]:
    """Pixels of each colour in a row of the first pair, which they fill from left to right."""
    shot = page.locator(".pair").first.screenshot()
    pixels = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)
    row = pixels[len(pixels) * 3 // 4]
    found = [np.flatnonzero(np.abs(row - colour).max(axis=1) < 12) for colour in colours]
    assert [places.mean() for places in found] == sorted(places.mean() for places in found)
    return [len(places) for places in found]


def test_before_is_on_the_left_of_the_slider_and_after_on_the_right(opened: Open) -> None:
    page = opened(slider_page(*plain(RED, GREEN), None, [], ("Before", "After")), "#25")
    assert widths(page, RED, GREEN) == pytest.approx([50, 150], abs=8)


def test_a_report_sorts_its_table_and_shows_the_sharp_photo(opened: Open) -> None:
    every = [
        Scores(name, 20.0, 20 + gain, 0.5, 0.6, 0.7, 0.8, 50.0, gain, 3.25)
        for name, gain in (("2.png", 9.0), ("10.png", -1.0), ("1.png", 30.0))
    ]
    page = opened(report_page({}, every, [Shown(every[0], *plain(RED, GREEN, BLUE))], "none"))

    def order() -> list[str]:
        return page.locator("tbody td:first-child").all_inner_texts()

    page.get_by_role("button", name="Gain").click()
    assert order() == ["10.png", "2.png", "1.png"]
    page.get_by_role("button", name="Gain").click()
    assert order() == ["1.png", "2.png", "10.png"]
    page.get_by_role("button", name="Pair").click()
    assert order() == ["1.png", "2.png", "10.png"]
    assert page.locator("th[aria-sort]").all_inner_texts() == ["Pair"]

    page.get_by_role("slider").press("Shift+ArrowRight")
    assert widths(page, RED, GREEN) == pytest.approx([120, 80], abs=8)
    page.keyboard.press("s")
    assert widths(page, RED, BLUE) == pytest.approx([120, 80], abs=8)
