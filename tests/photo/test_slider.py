import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
from PIL import Image, ImageCms

from blurdm_cli.photo.comparison import Crop
from blurdm_cli.photo.slider import slider_page

RED, GREEN = (np.full((120, 200, 3), colour, np.uint8) for colour in ((200, 20, 20), (20, 180, 20)))
CROPS = [Crop(0, 0, 60), Crop(10, 80, 60)]
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


class Page(HTMLParser):
    """What a page consists of, and all that it points at."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.targets, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.targets += [v for k, v in attributes if k in ("src", "href", "srcset", "action")]
        if tag not in ("meta", "img", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def page(labels=("Before", "After")):
    return slider_page(RED, GREEN, ICC, CROPS, labels)


def test_the_page_is_whole_and_asks_for_nothing_outside_itself():
    text = page()
    read = Page(text)
    assert read.open == []
    assert len(read.targets) == 2 * 3
    assert all(target.startswith("data:image/jpeg;base64,") for target in read.targets)
    rest = re.sub(r'src="data:[^"]*"', "", text)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|fetch\(|import\(", rest)
    (policy,) = [a["content"] for tag, a in read.tags if a.get("http-equiv")]
    assert "default-src 'none'" in policy


def test_each_pair_has_a_slider_that_moves_the_edge_of_the_upper_picture():
    text = page()
    sliders = [a for tag, a in Page(text).tags if a.get("type") == "range"]
    assert [(s["min"], s["max"], s["value"]) for s in sliders] == [("0", "100", "50")] * 3
    assert "clip-path: inset(0 0 0 var(--x))" in text
    assert 'setProperty("--x", slider.value + "%")' in text


def test_the_pictures_are_the_photos_with_their_profile():
    pictures = [
        Image.open(io.BytesIO(base64.b64decode(target.split(",")[1])))
        for target in Page(page()).targets
    ]
    assert [p.size for p in pictures] == [(200, 120)] * 2 + [(60, 60)] * 4
    assert all(p.info["icc_profile"] == ICC for p in pictures)
    for place, colour in enumerate((RED, GREEN) * 3):
        seen = np.asarray(pictures[place]).mean((0, 1))
        assert np.abs(seen - colour[0, 0]).max() < 3


def test_labels_are_text_whatever_is_in_them():
    evil = '<script>alert("x")</script>'
    read = Page(page((evil, "a & b")))
    assert sum(tag == "script" for tag, _ in read.tags) == 1
    assert [a["alt"] for tag, a in read.tags if tag == "img"][:2] == [evil, "a & b"]
