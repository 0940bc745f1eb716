"""The studio as a person meets it: a server process, Chromium, strokes, and how long until a network works.

    python benchmarks/studio.py                      # about three minutes
    python benchmarks/studio.py --screenshots DIR    # pictures of every part, at three widths, light and dark

Times are those that the page takes itself, from the end of the last stroke to a network that is written, exported, loaded
and ready in the browser; the wait of 0.2 s for a further stroke is part of it. Every visit starts with an empty cache.
"""

import argparse
import contextlib
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from drawn import circle, cross, draw, wave
from records import Row, write_rows

COMMAND = "python benchmarks/studio.py"
START = "import sys; from netwright.cli import main; sys.argv[0] = 'netwright'; sys.exit(main())"
WRITTEN = ".status[data-network]"
VISITS, REWRITES = 20, 4
REPORT = Path(__file__).parent / "reports" / "sine-referee"
NOTE_SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The address of `netwright serve` without a run."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", START, "serve", str(REPORT), "--port", "0"],
            cwd=folder, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """The system's browser."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def two_classes(page: Any, turn: float) -> None:
    """A circle and a cross, a little different every time."""
    pads = page.locator(".card .pad")
    draw(page, pads.nth(0), circle(start=turn, radius=0.22 + 0.03 * math.sin(turn)))
    draw(page, pads.nth(1), cross(size=0.22 + 0.05 * math.cos(turn)))


def waited(page: Any) -> float:
    """Seconds from the last stroke to a working network, as the page counts them."""
    page.wait_for_selector(WRITTEN, timeout=60_000)
    return float(page.locator(WRITTEN).get_attribute("data-milliseconds")) / 1000


def measure(browser: Any, address: str) -> dict[str, list[float]]:
    """First networks, networks that are written over, loads, shifts, gaps to Python, console errors."""
    import httpx
    import torch

    found: dict[str, list[float]] = {
        name: [] for name in ("first", "again", "load", "shift", "gap", "errors")
    }
    for visit in range(VISITS):
        context = browser.new_context(
            viewport={"width": [360, 768, 1280][visit % 3], "height": 800}
        )
        page = context.new_page()
        errors: list[str] = []
        page.on(
            "console", lambda m, errors=errors: errors.append(m.text) if m.type == "error" else None
        )
        page.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
        page.add_init_script(NOTE_SHIFTS)
        started = time.perf_counter()
        page.goto(address)
        page.wait_for_selector("#hypernetwork option", state="attached")
        found["load"].append(time.perf_counter() - started)
        two_classes(page, visit)
        found["first"].append(waited(page))
        for turn in range(REWRITES):
            before = page.locator(WRITTEN).get_attribute("data-network")
            draw(
                page,
                page.locator(".card .pad").nth(turn % 2),
                [circle(radius=0.05 * (turn + 2))[0][:9]],
            )
            page.wait_for_selector(f"{WRITTEN}:not([data-network='{before}'])", timeout=60_000)
            found["again"].append(waited(page))
        for strokes in (circle(0.4, 0.5, 0.2, start=2), wave(), cross(0.6, 0.4, 0.2)):
            page.locator(".try").get_by_role("button", name="Clear").click()
            draw(page, page.locator(".try .pad"), strokes)
            picture, here = page.evaluate(
                """async () => [[...studio.draw.pictureOfQuestion()],
                  [...await studio.draw.network.logits(studio.draw.pictureOfQuestion())]]"""
            )
            network_id = page.locator(WRITTEN).get_attribute("data-network")
            x = torch.tensor(picture).reshape(1, 1, 28, 28)
            answer = httpx.post(
                f"{address}/v1/networks/{network_id}/predict", json={"x": x.tolist()}
            )
            there = answer.json()["outputs"][0]
            found["gap"].append(float(np.abs(np.array(here) - there).max()))
        found["shift"].append(page.evaluate("shifted"))
        found["errors"].append(len(errors))
        context.close()
    return found


def rows_of(found: dict[str, list[float]], cpu_seconds: float) -> list[Row]:
    """What was found, as rows."""

    def row(
        name: str, values: list[float], unit: str, note: str, value: float | None = None
    ) -> Row:
        middle = float(np.median(values)) if value is None else value
        # Of a largest value there is no such range.
        low, high = (
            float(np.quantile(values, q)) if value is None else None for q in (0.025, 0.975)
        )
        return Row(
            name,
            middle,
            low,
            high,
            unit,
            False,
            len(values),
            [0],
            round(cpu_seconds),
            COMMAND,
            note,
        )

    shared = "on two cores that other work shared; low and high: 2.5 and 97.5 % of the visits"
    return [
        row(
            "studio", found["first"], "s",
            f"last stroke to a written network that runs in the browser, first one of a visit, empty cache; longest "
            f"{max(found['first']):.2f} s; at most 3 wanted; {shared}; console errors {sum(found['errors']):.0f}, largest layout shift "
            f"{max(found['shift']):.4f}, widths 360, 768, 1280",
        ),
        row(
            "studio-rewrite", found["again"], "s",
            f"the same, networks that are written over in a visit; longest {max(found['again']):.2f} s; {shared}",
        ),
        row(
            "studio-load", found["load"], "s",
            f"page asked for to page ready, empty cache; longest {max(found['load']):.2f} s; {shared}",
        ),
        row(
            "export-matrix-browser", found["gap"], "largest difference of logits",
            f"onnxruntime-web in Chromium against torch in the server, {VISITS} networks of conv children, three drawings each; at "
            f"most 1e-4 wanted",
            max(found["gap"]),
        ),
    ]  # fmt: skip


def screenshots(browser: Any, address: str, to: Path) -> None:
    """Every part at three widths, light and dark."""
    to.mkdir(parents=True, exist_ok=True)
    for width in (360, 768, 1280):
        for scheme in ("light", "dark"):
            context = browser.new_context(
                viewport={"width": width, "height": 860}, color_scheme=scheme
            )
            page = context.new_page()
            page.goto(address)
            two_classes(page, 1)
            page.get_by_role("button", name="Add a class").click()
            page.keyboard.type("wave")
            draw(page, page.locator(".card .pad").nth(2), wave())
            page.wait_for_function("() => document.querySelectorAll('.bars li').length === 3")
            waited(page)
            draw(page, page.locator(".try .pad"), wave(0.45, 0.5, 0.3))
            page.wait_for_selector(".bars .most")
            page.wait_for_timeout(600)
            page.evaluate("scrollTo(0, 0)")
            page.screenshot(path=to / f"draw-{width}-{scheme}.png", full_page=True)
            page.goto(f"{address}/#runs")
            page.wait_for_selector(".chart:visible")
            page.wait_for_timeout(300)
            page.screenshot(path=to / f"runs-{width}-{scheme}.png", full_page=True)
            context.close()


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--screenshots", type=Path)
    args = parser.parse_args()
    started = time.process_time()
    with server() as address, chromium() as browser:
        if args.screenshots:
            screenshots(browser, address, args.screenshots)
        else:
            found = measure(browser, address)
            children = sum(os.times()[i] for i in (2, 3))
            write_rows("studio", rows_of(found, time.process_time() - started + children))


if __name__ == "__main__":
    main()
