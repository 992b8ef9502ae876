"""An HTML page that shows before over after, with a slider between them.

The page is one file with embedded images; it loads nothing else and works offline.
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
body { margin: 0; background: #181818; color: #ebebeb; font: 16px/1.5 system-ui, sans-serif; }
main { margin: 1rem auto; padding: 0 1rem; max-width: 100rem; }
.pair { position: relative; --x: 50%; width: fit-content; margin: 0 auto 1rem; }
.pair img { display: block; max-width: 100%; max-height: 86vh; }
.whole .pair img { max-width: none; max-height: none; }
.pair img + img { position: absolute; inset: 0; clip-path: inset(0 0 0 var(--x)); }
.pair i { position: absolute; top: 0; bottom: 0; left: var(--x); width: 2px; margin-left: -1px;
  background: #fff; box-shadow: 0 0 4px #000; pointer-events: none; }
.pair b { position: absolute; top: .5rem; padding: 0 .5rem; background: #181818b0;
  pointer-events: none; }
.pair b:first-of-type { left: .5rem; }
.pair b:last-of-type { right: .5rem; }
.pair input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0;
  cursor: ew-resize; }
.pair:focus-within { outline: 2px solid #fff; }
.crops .pair { display: inline-block; margin: 0 .5rem .5rem 0; }
.crops img { width: 20rem; image-rendering: pixelated; }
</style>
</head>
<body>
<main>
<p><label><input type="checkbox" id="whole"> Actual pixels</label></p>
$pair
<h2>Largest changes</h2>
<div class="crops">
$crops
</div>
</main>
<script>
"use strict";
const start = parseFloat(location.hash.slice(1));
for (const pair of document.querySelectorAll(".pair")) {
  const slider = pair.querySelector("input");
  const move = () => pair.style.setProperty("--x", slider.value + "%");
  if (start >= 0 && start <= 100) slider.value = start;
  slider.addEventListener("input", move);
  move();
}
document.getElementById("whole").addEventListener("change", event =>
  document.body.classList.toggle("whole", event.target.checked));
</script>
</body>
</html>
""")

PAIR = Template("""\
<div class="pair">
<img alt="$before" src="$before_data">
<img alt="$after" src="$after_data">
<i></i><b>$before</b><b>$after</b>
<input type="range" min="0" max="100" step="0.1" value="50" aria-label="$before to $after">
</div>""")


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

    def pair(first: RGB8, second: RGB8) -> str:
        return PAIR.substitute(
            before=escape(labels[0]),
            after=escape(labels[1]),
            before_data=_data(first, icc),
            after_data=_data(second, icc),
        )

    return PAGE.substitute(
        title=escape(f"{labels[0]} and {labels[1]}"),
        pair=pair(fitted(before, LONGEST), fitted(after, LONGEST)),
        crops="\n".join(pair(crop.of(before), crop.of(after)) for crop in crops),
    )


def _data(pixels: RGB8, icc: bytes | None) -> str:
    photo = Photo(np.ascontiguousarray(pixels), metadata=Metadata(icc=icc))
    data = encode_photo(photo, "jpeg", QUALITY)
    return f"data:image/jpeg;base64,{b64encode(data).decode()}"
