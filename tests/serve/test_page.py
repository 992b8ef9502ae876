"""The page in a real Chromium: `pytest -m browser tests/serve/test_page.py`."""

import io
import re
import socket
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image

from blurdm_cli.serve.app import create_app
from blurdm_cli.serve.settings import Settings
from blurdm_cli.serve.worker import Worker
from tests.serve.conftest import PRETENDS, TINY

pytestmark = pytest.mark.browser

RED, GREEN = (200, 20, 20), (20, 180, 20)


def picture(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (90, 70), colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server whose worker only pretends."""
    worker = Worker(TINY, 10**6, 60, None, (sys.executable, "-c", PRETENDS))
    server = uvicorn.Server(uvicorn.Config(create_app(Settings(TINY), worker), log_level="error"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.should_exit = True
        thread.join()


Open = Callable[[], Any]


@pytest.fixture(scope="module")
def tab(browser: Any, address: str) -> Iterator[Open]:
    """Opens tabs; fails if one had an error, or asked anybody but the server."""
    wrong: list[str] = []
    with browser.new_context(viewport={"width": 1000, "height": 700}) as context:
        context.set_default_timeout(10_000)

        def open_tab() -> Any:
            page = context.new_page()
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("request", lambda each: elsewhere(each.url))
            page.goto(address)
            return page

        def elsewhere(url: str) -> None:
            if not url.startswith((address, "blob:", "data:")):
                wrong.append(url)

        yield open_tab
    assert not wrong, "the page had an error, or loaded something from elsewhere"


def choose(page: Any, *files: tuple[str, bytes]) -> None:
    chosen = [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files]
    page.set_input_files("#chooser", chosen)


def until_done(page: Any, count: int = 1) -> None:
    page.locator("#list .state", has_text=re.compile(r"\d s")).nth(count - 1).wait_for()


def seen(page: Any) -> np.ndarray:
    """The pixels of the photo in the page, along its middle row."""
    shot = Image.open(io.BytesIO(page.locator("#stage").screenshot())).convert("RGB")
    row = np.asarray(shot).astype(int)[shot.height // 4]
    return row[row.max(1) > 100]


def share(row: np.ndarray, colour: tuple[int, int, int]) -> float:
    return float((np.abs(row - colour).max(1) <= 3).mean())


@pytest.fixture(scope="module")
def green_tab(tab: Open) -> Any:
    """A tab with a red photo whose result is green."""
    page = tab()
    page.route("**/files/0**", lambda route: route.fulfill(body=picture(GREEN)))
    choose(page, ("red.png", picture(RED)))
    until_done(page)
    page.locator("#edge").wait_for()
    return page


@pytest.fixture
def greened(green_tab: Any) -> Any:
    """The same, as it looked at first."""
    green_tab.locator("#fit").click()
    green_tab.locator("#position").fill("50")
    green_tab.locator("#strength").fill("100")
    return green_tab


def test_the_edge_parts_before_from_after_and_strength_mixes_them(greened: Any) -> None:
    shares = []
    for percent in (40, 50, 60):
        greened.locator("#position").fill(str(percent))
        row = seen(greened)
        shares.append((share(row, RED), share(row, GREEN)))
    assert shares[1] == pytest.approx((0.5, 0.5), abs=0.03)
    assert shares[0][0] < 0.45 < 0.55 < shares[2][0]
    assert shares[0][1] > 0.55 > 0.45 > shares[2][1]
    greened.locator("#position").fill("0")
    assert share(seen(greened), GREEN) > 0.99
    greened.locator("#strength").fill("25")
    mixed = tuple(round(0.75 * red + 0.25 * green) for red, green in zip(RED, GREEN, strict=True))
    assert share(seen(greened), mixed) > 0.99


def test_keys_move_the_edge_hold_before_and_zoom_to_actual_pixels(greened: Any) -> None:
    greened.locator("#stage").focus()
    greened.keyboard.press("ArrowLeft")
    assert greened.locator("#position").input_value() == "48"
    greened.locator("#position").fill("0")
    greened.locator("#stage").focus()
    greened.keyboard.down("b")
    assert share(seen(greened), RED) > 0.99
    greened.keyboard.up("b")
    greened.keyboard.press("1")
    assert greened.locator("#before").bounding_box()["width"] == pytest.approx(90, abs=1)
    assert greened.get_by_role("button", name="1:1").get_attribute("aria-pressed") == "true"
    greened.keyboard.press("0")
    assert greened.locator("#before").bounding_box()["width"] > 300


def test_a_zoomed_photo_is_dragged(greened: Any) -> None:
    for _ in range(6):
        greened.locator("#in").click()
    stage = greened.locator("#stage").bounding_box()
    start = greened.locator("#before").bounding_box()
    x, y = stage["x"] + stage["width"] / 3, stage["y"] + stage["height"] / 3
    greened.mouse.move(x, y)
    greened.mouse.down()
    greened.mouse.move(x + 40, y + 25, steps=2)
    greened.mouse.up()
    end = greened.locator("#before").bounding_box()
    assert (end["x"] - start["x"], end["y"] - start["y"]) == pytest.approx((40, 25), abs=1)


def test_the_motion_is_drawn_in_each_region(greened: Any) -> None:
    greened.get_by_role("button", name="Motion").click()
    greened.locator("#paths image").nth(3).wait_for()
    scale = greened.locator("#before").bounding_box()["width"] / 90
    path = greened.locator("#paths image").first.bounding_box()
    assert path["width"] == pytest.approx(9 * scale, abs=1)
    greened.get_by_role("button", name="Motion").click()
    assert greened.locator("#paths image").count() == 0


def test_dropped_and_pasted_photos_are_sent_and_downloaded(tab: Open) -> None:
    page = tab()
    for kind, member in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.evaluate(
            """([kind, member, data]) => {
                const files = new DataTransfer();
                files.items.add(new File([new Uint8Array(data)], `${kind}.png`));
                const event = new Event(kind, { bubbles: true, cancelable: true });
                event[member] = files;
                document.body.dispatchEvent(event);
            }""",
            [kind, member, list(picture(RED))],
        )
    until_done(page, 2)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    assert download.value.suggested_filename == "drop.png"
    assert Path(download.value.path()).read_bytes() == picture(RED)


@pytest.fixture(scope="module")
def three(tab: Open) -> Any:
    """A tab with three finished photos, the first one chosen."""
    page = tab()
    choose(page, *((f"{number}.png", picture(RED)) for number in range(3)))
    until_done(page, 3)
    return page


def test_a_download_has_its_photo_s_name_although_another_was_chosen(three: Any) -> None:
    held: list[Any] = []
    three.route("**/files/0?strength=0.5", lambda route: held.append(route))
    three.locator("#strength").fill("50")
    with three.expect_request("**/files/0?strength=0.5"):
        three.keyboard.press("d")  # the slider has the focus
    three.locator("#list .pick", has_text="1.png").click()
    with three.expect_download() as download:
        held[0].fulfill(body=picture(RED))
    assert download.value.suggested_filename == "0.png"


def test_after_a_removal_the_next_photo_is_shown(three: Any) -> None:
    three.locator("#list .pick", has_text="1.png").click()
    for following in ("2.png", "0.png"):
        three.keyboard.press("Delete")
        assert three.locator("#list li.current .name").inner_text() == following
    three.keyboard.press("Delete")
    three.locator("#empty").wait_for()


def test_all_results_are_one_archive_with_names_that_differ(tab: Open) -> None:
    page = tab()
    choose(page, ("a.png", picture(RED)), ("a.png", picture(GREEN)))
    until_done(page, 2)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download all").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.png", "a-2.png"]
        assert [archive.read(name) for name in archive.namelist()] == [picture(RED), picture(GREEN)]


def test_an_error_is_shown_with_its_hint_and_others_go_on(tab: Open) -> None:
    page = tab()
    choose(page, ("bad.png", b"crash"), ("good.png", picture(RED)))
    until_done(page)
    row = page.locator("#list li.bad")
    assert "Memory may have run out" in row.inner_text()
    row.get_by_role("button", name="Remove bad.png").click()
    assert page.locator("#list li").count() == 1


def test_two_tabs_at_once_each_get_their_own_results(tab: Open) -> None:
    tabs = [tab(), tab()]
    for page, colour in zip(tabs, (RED, GREEN), strict=True):
        choose(page, *((f"{number}.png", picture(colour)) for number in range(2)))
    for page, colour in zip(tabs, (RED, GREEN), strict=True):
        page.bring_to_front()
        until_done(page, 2)
        page.locator("#position").fill("0")
        assert share(seen(page), colour) > 0.99


def test_a_removed_photo_is_cancelled_at_the_server(tab: Open, address: str) -> None:
    page = tab()
    choose(page, ("slow.png", b"wait"))
    page.locator("#list progress").wait_for()
    with page.expect_request(lambda request: request.method == "DELETE"):
        page.get_by_role("button", name="Remove slow.png").click()
    page.locator("#empty").wait_for()


def test_on_a_phone_nothing_is_wider_than_the_screen(greened: Any) -> None:
    greened.set_viewport_size({"width": 360, "height": 740})
    assert greened.evaluate("document.documentElement.scrollWidth") <= 360
    for name in ("Divider between before and after", "Strength"):
        assert greened.get_by_role("slider", name=name).is_visible()
    greened.set_viewport_size({"width": 1000, "height": 700})


def test_the_expert_is_chosen_where_the_model_can_have_one(tab: Open) -> None:
    page = tab()
    page.get_by_label("Model").select_option("blurdm-tiny")
    expert = page.get_by_label("Expert")
    assert expert.is_disabled()
    page.get_by_label("Model").select_option("blurdm-fast")
    expert.select_option("blurdm-tiny")
    choose(page, ("red.png", picture(RED)))
    page.locator("#facts", has_text="with blurdm-tiny").wait_for()
    page.get_by_label("Estimate the motion").uncheck()
    assert expert.is_disabled()
    page.get_by_role("button", name="Run again").click()
    page.locator("#facts", has_not_text="with blurdm-tiny").filter(has_text="0.1 s").wait_for()


def test_the_api_s_page_lists_all_requests(tab: Open) -> None:
    page = tab()
    page.get_by_role("link", name="API").click()
    page.get_by_role("heading", name="POST /api/deblur").wait_for()
    examples = page.locator("pre").all_inner_texts()
    saved = {words.split()[1].partition("/api/")[2] for words in examples if "-OJ" in words}
    assert saved == {"deblur", "jobs/ID/files/0"}, "where the answer is a file"
