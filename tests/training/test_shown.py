"""The pairs of an evaluation as pictures: which, and how they are drawn."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from blurdm_cli.training.contact_sheet import contact_sheet
from blurdm_cli.training.evaluation import Scores
from blurdm_cli.training.layouts import PairFiles
from blurdm_cli.training.report import report_page
from blurdm_cli.training.shown import Extremes, Shown

COLOURS = {"blurred": (200, 20, 20), "restored": (20, 180, 20), "sharp": (20, 20, 220)}
EVIL = '<script>alert("x")</script>'


def scores(name: str, gain: float) -> Scores:
    return Scores(name, 20.0, 20 + gain, 0.5, 0.6, 0.7, 0.8, 50.0, gain - 1, 3.25)


def shown(name: str, gain: float, size: tuple[int, int] = (90, 120)) -> Shown:
    photos = (np.full((*size, 3), colour, np.uint8) for colour in COLOURS.values())
    return Shown(scores(name, gain), *photos)


@pytest.mark.parametrize(
    ("count", "kept"), [(2, [-1, 5]), (3, [-1, 0, 5]), (9, [-1, 0, 2, 3, 5]), (0, [])]
)
def test_pairs_of_smallest_and_largest_gain_are_kept(
    tmp_path: Path, count: int, kept: list[float]
) -> None:
    extremes = Extremes(count)
    for gain in (3, -1, 2, 5, 0):
        for folder in ("input", "target"):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.new("RGB", (8, 4), (gain + 1,) * 3).save(tmp_path / folder / f"{gain}.png")
        file = PairFiles(f"{gain}", *(tmp_path / d / f"{gain}.png" for d in ("input", "target")))
        extremes.add(file, scores(file.name, gain), torch.full((3, 4, 8), 100 + gain).byte())
    ranked = extremes.ranked()
    assert [pair.scores.gain for pair in ranked] == kept
    for pair in ranked:
        gain = int(pair.scores.gain)
        assert pair.restored.shape == (4, 8, 3)
        assert [p[0, 0, 0] for p in (pair.blurred, pair.restored)] == [gain + 1, 100 + gain]


@pytest.mark.parametrize("size", [(90, 120), (900, 640)])
def test_a_row_shows_the_crop_of_each_photo_pixel_by_pixel(size: tuple[int, int]) -> None:
    sheet = contact_sheet([shown("a" * 200, 1.0, size), shown("b", 2.0, size)])
    side = min(400, *size)
    columns = []
    for colour in COLOURS.values():
        seen = (sheet == colour).all(axis=2)
        seen[:, :340] = False
        assert seen.sum() == 2 * side * side
        columns.append(np.flatnonzero(seen.any(axis=0))[0])
    assert columns == sorted(columns)


class Page(HTMLParser):
    """The cells of a page's table, and its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self._cell = tag in ("td", "th") or (self._cell and tag in ("a", "button"))

    def handle_endtag(self, tag: str) -> None:
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.rows[-1][-1] += data


def test_a_report_has_all_pairs_and_the_photos_of_some() -> None:
    every = [scores("a.png", 3.0), scores(EVIL, -1.0), scores("c.png", 1.0)]
    text = report_page({"Data": EVIL}, every, [shown(EVIL, -1.0), shown("a.png", 3.0)], "shift")
    page = Page(text)
    head, *rows, mean = page.rows
    gains = [head.index(name) for name in ("Gain, not aligned", "Gain, aligned")]
    assert [row[0] for row in rows] == ["a.png", EVIL, "c.png"]
    assert [[row[each] for each in gains] for row in rows] == [
        ["+2.00", "+3.00"],
        ["-2.00", "-1.00"],
        ["+0.00", "+1.00"],
    ]
    assert (mean[0], mean[gains[1]]) == ("Mean", "+1.00")

    attributes = [values for _, values in page.tags]
    places = [values["id"] for tag, values in page.tags if tag == "section"]
    assert [v["href"] for t, v in page.tags if t == "a"] == [f"#{p}" for p in reversed(places)]
    assert sum(tag == "img" for tag, _ in page.tags) == 2 * 3
    assert all(v["alt"] for t, v in page.tags if t == "img")
    sliders = [values for values in attributes if values.get("type") == "range"]
    assert [values["aria-label"] for values in sliders] == [
        f"Edge between the photos of {EVIL}",
        "Edge between the photos of a.png",
    ]
    assert sum(tag == "script" for tag, _ in page.tags) == 1


def test_one_column_of_gains_without_alignment() -> None:
    page = Page(report_page({}, [scores("a", 1.0)], [], "none"))
    assert [name for name in page.rows[0] if "Gain" in name] == ["Gain"]
