"""Draw: from strokes to a network that runs in the browser, as Python says it should."""

import io
import re

import numpy as np
import pytest
from drawn import circle, cross, draw, wave

from netwright.tasks.ink import picture_of_ink, picture_of_strokes

expect = pytest.importorskip("playwright.sync_api", reason="needs playwright").expect

PAD, TRIAL = ".card .pad", ".try .pad"
WRITTEN = ".status[data-network]"


def two_classes(page) -> None:
    pads = page.locator(PAD)
    draw(page, pads.nth(0), circle())
    draw(page, pads.nth(1), cross())
    page.wait_for_selector(WRITTEN)


def shares(page) -> list[float]:
    return [float(bar.get_attribute("data-share")) for bar in page.locator(".bars li").all()]


def test_a_network_is_written_and_tells_new_drawings_apart(visit):
    page = visit()
    two_classes(page)
    for strokes, expected in ((circle(0.4, 0.5, 0.2, start=2), 0), (cross(0.6, 0.5, 0.2), 1)):
        page.locator(".try").get_by_role("button", name="Clear").click()
        draw(page, page.locator(TRIAL), strokes)
        page.wait_for_selector(".bars .most")
        assert int(np.argmax(shares(page))) == expected
    assert page.locator(".verdict").inner_text().startswith("B, ")
    assert re.fullmatch(r"[\d,]+", page.locator(".network .facts dd").first.inner_text())
    assert page.evaluate("shifted") < 0.1


def test_what_runs_in_the_browser_answers_as_onnxruntime_and_torch_do_in_python(visit, address):
    import httpx
    import onnxruntime

    page = visit()
    two_classes(page)
    draw(page, page.locator(TRIAL), wave())
    page.wait_for_selector(".bars .most")
    picture, here = page.evaluate(
        """async () => {
          const picture = studio.draw.pictureOfQuestion();
          return [[...picture], [...await studio.draw.network.logits(picture)]];
        }"""
    )
    network_id = page.locator(WRITTEN).get_attribute("data-network")
    x = np.array(picture, np.float32).reshape(1, 1, 28, 28)
    route = f"{address}/v1/networks/{network_id}"
    onnx = httpx.get(f"{route}/export?format=onnx").content
    (there,) = onnxruntime.InferenceSession(onnx).run(None, {"x": x})
    served = httpx.post(f"{route}/predict", json={"x": x.tolist()}).json()["outputs"]
    np.testing.assert_allclose(here, there[0], atol=1e-4)
    np.testing.assert_allclose(here, served[0], atol=1e-4)


def test_the_page_reads_strokes_and_pictures_as_python_does(visit):
    page = visit()
    rng = np.random.default_rng(0)
    strokes = [rng.random((n, 2)).round(4) for n in (5, 2, 1)]
    ink = np.zeros((31, 47))
    ink[4:20, 9:33] = rng.random((16, 24)).round(4)
    found = page.evaluate(
        """([strokes, ink, height, width]) => [
          [...studio.pictureOfStrokes(strokes)], [...studio.pictureOfInk(ink, height, width)],
        ]""",
        [[stroke.flatten().tolist() for stroke in strokes], ink.flatten().tolist(), *ink.shape],
    )
    for here, there in zip(found, (picture_of_strokes(strokes), picture_of_ink(ink)), strict=True):
        np.testing.assert_allclose(np.reshape(here, (28, 28)), there, atol=1e-6)


def test_a_network_is_written_anew_when_a_class_comes_or_goes(visit):
    page = visit()
    two_classes(page)
    first = page.locator(WRITTEN).get_attribute("data-network")
    page.get_by_role("button", name="Add a class").click()
    assert page.locator(".network .status").inner_text() == "Draw an example of C."
    page.keyboard.type("wave")
    draw(page, page.locator(PAD).nth(2), wave())
    page.wait_for_selector(f"{WRITTEN}:not([data-network='{first}'])")
    assert page.locator(".bars .label").all_inner_texts() == ["A", "B", "wave"]
    page.get_by_role("button", name="Remove class A").click()
    expect(page.locator(".bars .label")).to_have_text(["B", "wave"])


def test_the_keyboard_alone_is_enough(visit):
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    for name, moves in (("A", ["ArrowRight"] * 8), ("B", ["ArrowDown"] * 8)):
        pad = page.get_by_label(f"Example 1 of {name}", exact=True).first
        pad.focus()
        for key in ("Space", *moves, "Space"):
            page.keyboard.press(key)
    page.wait_for_selector(WRITTEN)
    page.locator(TRIAL).focus()
    for key in ("Space", *["ArrowDown"] * 6, "Space"):
        page.keyboard.press(key)
    page.wait_for_selector(".bars .most")
    # A level line and an upright one.
    assert int(np.argmax(shares(page))) == 1
    assert page.locator("[aria-live]").inner_text().startswith("B, ")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def picture_file(shade: int = 0) -> bytes:
    image = pytest.importorskip("PIL.Image").new("L", (90, 70), 255)
    image.paste(shade, (20, 10, 35, 60))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_pictures_of_files_are_examples_too_and_bad_ones_are_told_where_they_are(visit):
    page = visit()
    card = page.locator(".card").first
    card.locator("input[type=file]").set_input_files(
        [{"name": f"{i}.png", "mimeType": "image/png", "buffer": picture_file()} for i in (1, 2)]
    )
    page.wait_for_selector("[aria-label='Example 2 of A']")
    draw(page, page.locator(PAD).nth(1), circle())
    page.wait_for_selector(WRITTEN)
    assert page.locator(".network .facts dd").last.inner_text() == "3"
    for name, content, told in (
        ("blank.png", picture_file(255), "blank.png is all of one shade. Choose another one."),
        ("not.png", b"no picture", "not.png is no picture that this browser can read."),
    ):
        page.locator(".card").nth(1).locator("input[type=file]").set_input_files(
            {"name": name, "mimeType": "image/png", "buffer": content}
        )
        expect(page.locator(".card .problem").nth(1)).to_contain_text(told)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("part", ["", "#table", "#runs"])
def test_nothing_is_wider_than_a_phone(visit, part, scheme):
    page = visit(part, width=360, height=740, color_scheme=scheme, has_touch=True, is_mobile=True)
    page.wait_for_selector("h1:visible")
    if not part:
        two_classes(page)
    if part == "#runs":
        page.wait_for_selector(".chart:visible")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate("shifted") < 0.1


def test_a_server_that_is_gone_is_told_in_words(visit):
    page = visit()
    page.wait_for_selector("#hypernetwork option", state="attached")
    # The runtime that runs networks is fetched beforehand, once.
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    pads = page.locator(PAD)
    draw(page, pads.nth(0), circle())
    draw(page, pads.nth(1), cross())
    told = page.locator(".network .problem")
    expect(told).to_have_text("The server cannot be reached. Is it still running?")
    page.context.set_offline(False)
    draw(page, pads.nth(1), wave())
    page.wait_for_selector(WRITTEN)
    assert not page.locator(".network .problem").inner_text()
    # The browser notes by itself what it could not fetch.
    visit.troubles[:] = [each for each in visit.troubles if "ERR_INTERNET_DISCONNECTED" not in each]


def test_a_server_that_goes_before_the_runtime_has_come_leaves_the_page_usable(visit):
    page = visit()
    page.wait_for_load_state("networkidle")
    # As on a first visit during which the server goes: of all files this one is not there.
    page.route("**/ort-wasm-simd-threaded.mjs*", lambda route: route.abort("internetdisconnected"))
    page.reload()
    pads = page.locator(PAD)
    draw(page, pads.nth(0), circle())
    draw(page, pads.nth(1), cross())
    expect(page.locator(".network .problem")).not_to_be_empty()
    page.unroute("**/ort-wasm-simd-threaded.mjs*")
    draw(page, pads.nth(1), wave())
    page.wait_for_selector(WRITTEN)
    visit.troubles[:] = [each for each in visit.troubles if "ERR_INTERNET_DISCONNECTED" not in each]


def test_controls_have_names(visit):
    page = visit()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, canvas[tabindex], a')]
          .filter((e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.length))
          .map((e) => e.outerHTML)"""
    )
    assert nameless == []
