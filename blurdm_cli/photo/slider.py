"""HTML pages that show photos over each other, with a slider between them.

A page is one file with embedded images; it loads nothing else and works offline.
"""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from string import Template

import numpy as np

from blurdm_cli.photo.comparison import RGB8, Crop, fitted
from blurdm_cli.photo.metadata import Metadata
from blurdm_cli.photo.photo import Photo, encode_photo

LONGEST = 4096
"""The longest side of a photo in the page, in pixels."""

QUALITY = 92

PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:;\
 style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>$title</title>
<style>
:root { color-scheme: light dark; --paper: light-dark(#f6f6f4, #181818);
  --ink: light-dark(#1b1c1e, #ebebeb); --line: light-dark(#d0d1d3, #424448);
  --accent: light-dark(#1f5cc0, #7db0ff); }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { margin: 1rem auto; padding: 0 1rem; max-width: 100rem; }
.tools { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; }
.frame { overflow: auto; margin: 0 0 1rem; }
.pair { position: relative; --x: 50%; width: fit-content; margin: 3px auto; }
.pair img { display: block; max-width: 100%; max-height: 86vh; }
.whole .pair img { max-width: none; max-height: none; }
.pair img + img { position: absolute; inset: 0; clip-path: inset(0 0 0 var(--x)); }
.pair i { position: absolute; top: 0; bottom: 0; left: var(--x); width: 2px; margin-left: -1px;
  background: #fff; box-shadow: 0 0 4px #000; pointer-events: none; }
.pair b { position: absolute; top: .5rem; padding: 0 .5rem; background: #181818b0; color: #ebebeb;
  pointer-events: none; }
.pair .before { left: .5rem; }
.pair .after, .pair .other { right: .5rem; }
.pair .other, .other-shown .pair b.after { visibility: hidden; }
.other-shown .pair .other { visibility: visible; }
.pair input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0;
  cursor: ew-resize; }
:focus-visible, .pair:has(:focus-visible) { outline: 2px solid var(--accent);
  outline-offset: 1px; }
.crops .pair { display: inline-block; margin: 0 .5rem .5rem 0; }
.crops img { width: 20rem; image-rendering: pixelated; }
$style</style>
</head>
<body>
<main>
$body
</main>
<script>
"use strict";
const start = parseFloat(location.hash.slice(1));
const keys = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 };
for (const pair of document.querySelectorAll(".pair")) {
  const slider = pair.querySelector("input");
  const move = () => {
    pair.style.setProperty("--x", slider.value + "%");
    slider.setAttribute("aria-valuetext", Math.round(slider.value) + " %");
  };
  if (start >= 0 && start <= 100) slider.value = start;
  slider.addEventListener("input", move);
  slider.addEventListener("keydown", event => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    slider.value = Number(slider.value) + keys[event.key] * (event.shiftKey ? 10 : 1);
    move();
  });
  move();
}
document.getElementById("whole").addEventListener("change", event => {
  document.body.classList.toggle("whole", event.target.checked);
  for (const image of document.querySelectorAll(".frame img"))
    image.style.width = event.target.checked ? image.naturalWidth / devicePixelRatio + "px" : "";
});
$script</script>
</body>
</html>
""")

PAIR = Template("""\
<div class="pair">
$images
<i></i>$labels
<input type="range" min="0" max="100" step="0.1" value="50" aria-label="$about">
</div>""")

WHOLE = '<label><input type="checkbox" id="whole"> Actual pixels</label>'
"""Shows the photos of a page pixel by pixel, on dense screens too."""

CLASSES = ("before", "after", "other")


def slider_page(
    before: RGB8, after: RGB8, icc: bytes | None, crops: Sequence[Crop], labels: tuple[str, str]
) -> str:
    """The page, as HTML.

    Args:
        before: a photo.
        after: the restored photo.
        icc: the colour profile of both.
        crops: regions that are shown below, pixel by pixel.
        labels: the labels of the photos.
    """
    close_ups = [slider([crop.of(each) for each in (before, after)], labels, icc) for crop in crops]
    body = [f"<p>{WHOLE}</p>", framed(slider([before, after], labels, icc))]
    if close_ups:
        body += ["<h2>Largest changes</h2>", '<div class="crops">', *close_ups, "</div>"]
    return html_page(f"{labels[0]} and {labels[1]}", "\n".join(body))


def html_page(title: str, body: str, style: str = "", script: str = "") -> str:
    """A page with sliders, as HTML.

    Args:
        title: title of the page, as text.
        body: its contents, as HTML, with `WHOLE` somewhere.
        style: more CSS.
        script: more JavaScript.
    """
    return PAGE.substitute(title=escape(title), body=body, style=style, script=script)


def slider(
    photos: Sequence[RGB8], labels: Sequence[str], icc: bytes | None = None, about: str = ""
) -> str:
    """A slider between photos of one size, as HTML.

    Args:
        photos: before, after, and a photo that takes the place of the second if the page's body
            has the class `other-shown`.
        labels: the labels of the photos.
        icc: their colour profile.
        about: what is compared, for screen readers.
    """
    named = [(kind, escape(label)) for kind, label in zip(CLASSES, labels, strict=False)]
    return PAIR.substitute(
        images="\n".join(
            f'<img class="{kind}" alt="{label}" src="{_data(fitted(photo, LONGEST), icc)}">'
            for (kind, label), photo in zip(named, photos, strict=True)
        ),
        labels="".join(f'<b class="{kind}">{label}</b>' for kind, label in named),
        about=escape(about) or " to ".join(label for _, label in named[:2]),
    )


def framed(pair: str) -> str:
    """A slider that scrolls if it is larger than the page."""
    return f'<div class="frame">{pair}</div>'


def _data(pixels: RGB8, icc: bytes | None) -> str:
    photo = Photo(np.ascontiguousarray(pixels), metadata=Metadata(icc=icc))
    data = encode_photo(photo, "jpeg", QUALITY)
    return f"data:image/jpeg;base64,{b64encode(data).decode()}"
