"""The report of an evaluation: one HTML file with a sortable table, and sliders over photos.

It loads nothing else and works offline.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from blurdm_cli.photo.slider import WHOLE, framed, html_page, slider
from blurdm_cli.training.evaluation import Align, Scores, interval, mean
from blurdm_cli.training.shown import Shown

LABELS = ("Blurred", "Restored", "Sharp")

STYLE = """\
.tools { position: sticky; top: 0; z-index: 1; padding: .5rem 0; background: var(--paper); }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .3rem 0; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; }
th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0;
  padding: .2rem 0; cursor: pointer; text-align: inherit; }
th button::after { content: " \\2195"; opacity: .4; }
th[aria-sort] button::after { opacity: 1; }
th[aria-sort="ascending"] button::after { content: " \\2191"; }
th[aria-sort="descending"] button::after { content: " \\2193"; }
tfoot { font-weight: 600; }
a { color: var(--accent); }
section { scroll-margin-top: 3rem; }
h2, h3 { margin: 1.2rem 0 .3rem; overflow-wrap: anywhere; }
"""

SCRIPT = """\
const rows = document.querySelector("tbody");
const inOrder = new Intl.Collator(undefined, { numeric: true }).compare;
for (const head of document.querySelectorAll("thead th")) {
  head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of document.querySelectorAll("th[aria-sort]"))
      other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const values = row => row.cells[head.cellIndex].dataset.value ?? "";
    const sorted = [...rows.rows].sort((one, other) => head.cellIndex
      ? values(one) - values(other) : inOrder(values(one), values(other)));
    rows.append(...(down ? sorted.reverse() : sorted));
  });
}
const sharp = document.getElementById("sharp");
const show = () => document.body.classList.toggle("other-shown", sharp.checked);
sharp.addEventListener("change", show);
document.addEventListener("keydown", event => {
  if (event.key !== "s" || event.ctrlKey || event.metaKey || event.altKey) return;
  sharp.checked = !sharp.checked;
  show();
});
"""

TOOLS = f"""\
<p class="tools">{WHOLE}
<label><input type="checkbox" id="sharp" aria-keyshortcuts="s"> Sharp photo instead of the restored
one (key: s)</label></p>"""


@dataclass(frozen=True)
class Column:
    """A column of the table: a figure of each pair."""

    name: str
    value: Callable[[Scores], float]
    form: str = ".2f"


def report_page(
    facts: Mapping[str, str], scores: Sequence[Scores], shown: Sequence[Shown], align: Align
) -> str:
    """The report, as HTML.

    Args:
        facts: the model, the data and so on, by name.
        scores: of all pairs.
        shown: the pairs that are shown as photos.
        align: how photos were aligned before they were scored.
    """
    low, high = interval(scores)
    gain = mean(scores).gain
    summary = f"{gain:+.2f} dB in {len(scores)} pairs (95 %: {low:+.2f} to {high:+.2f})"
    listed = {"Mean gain": summary, **facts}
    places = {pair.scores.name: f"pair-{number}" for number, pair in enumerate(shown, start=1)}
    body = [
        "<h1>Evaluation</h1>",
        "<p>" + "<br>".join(f"{escape(k)}: {escape(v)}" for k, v in listed.items()) + "</p>",
        _table(scores, places, align),
        f"<h2>{len(shown)} pairs, in ascending order of gain</h2>",
        TOOLS,
        *(_section(pair, places[pair.scores.name]) for pair in shown),
    ]
    return html_page("Evaluation", "\n".join(body), STYLE, SCRIPT)


def _columns(align: Align) -> list[Column]:
    gains = [Column("Gain", lambda s: s.gain, "+.2f")]
    if align != "none":
        gains.insert(0, Column("Gain, not aligned", lambda s: s.gain_unaligned, "+.2f"))
        gains[1] = Column("Gain, aligned", lambda s: s.gain, "+.2f")
    return [
        Column("PSNR, blurred", lambda s: s.psnr_blurred),
        Column("PSNR, restored", lambda s: s.psnr_restored),
        *gains,
        Column("SSIM, blurred", lambda s: s.ssim_blurred, ".4f"),
        Column("SSIM, restored", lambda s: s.ssim_restored, ".4f"),
        Column("Sharp photo kept", lambda s: s.psnr_sharp),
        Column("Seconds", lambda s: s.seconds),
    ]


def _table(scores: Sequence[Scores], places: Mapping[str, str], align: Align) -> str:
    columns = _columns(align)
    names = ("Pair", *(column.name for column in columns))
    heads = "".join(f'<th scope="col"><button type="button">{name}</button></th>' for name in names)
    rows = []
    for each in scores:
        name = escape(each.name)
        linked = f'<a href="#{places[each.name]}">{name}</a>' if each.name in places else name
        rows.append(f'<tr><td data-value="{name}">{linked}</td>{_cells(each, columns)}</tr>')
    return "\n".join(
        [
            '<div class="table" tabindex="0" role="region" aria-label="Scores"><table>',
            f"<caption>{_caption(align)}</caption>",
            f"<thead><tr>{heads}</tr></thead><tbody>",
            *rows,
            f"</tbody><tfoot><tr><td>Mean</td>{_cells(mean(scores), columns)}</tr></tfoot>",
            "</table></div>",
        ]
    )


def _caption(align: Align) -> str:
    how = {
        "none": "not aligned",
        "shift": "after the best shift of each",
        "homography": "after the best homography of each",
        "realblur": "after matching intensities and the best homography of each",
    }[align]
    return f"PSNR and gain in dB against the sharp photo, {how}. A column's button sorts by it."


def _cells(scores: Scores, columns: Sequence[Column]) -> str:
    values = ((column.value(scores), column.form) for column in columns)
    return "".join(f'<td data-value="{value:.6g}">{value:{form}}</td>' for value, form in values)


def _section(pair: Shown, place: str) -> str:
    scores = pair.scores
    about = f"Edge between the photos of {scores.name}"
    figures = (
        f"{scores.psnr_blurred:.2f} dB to {scores.psnr_restored:.2f} dB"
        f" ({scores.gain:+.2f}), SSIM {scores.ssim_blurred:.4f} to {scores.ssim_restored:.4f}"
    )
    photos = (pair.blurred, pair.restored, pair.sharp)
    return "\n".join(
        [
            f'<section id="{place}">',
            f"<h3>{escape(scores.name)}</h3>",
            f"<p>{figures}</p>",
            framed(slider(photos, LABELS, about=about)),
            "</section>",
        ]
    )
