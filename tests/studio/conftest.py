"""A server process and a browser, as a person has them."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

START = "import sys; from netwright.cli import main; sys.argv[0] = 'netwright'; sys.exit(main())"


@pytest.fixture(scope="session")
def address(tmp_path_factory) -> Iterator[str]:
    """Of `netwright serve` without a run, and a comparison."""
    for extra in ("uvicorn", "fastapi", "onnxruntime", "sqlalchemy"):
        pytest.importorskip(extra, reason=f"needs {extra}, of the extras serve, store and export")
    folder = tmp_path_factory.mktemp("server")
    comparison = Path(__file__).parents[2] / "benchmarks" / "reports" / "sine-referee"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", START, "serve", str(comparison), "--port", "0"],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serving on "), line + process.stdout.read()
        yield line.split()[-1]
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()


@pytest.fixture
def visit(address, browser, request):
    """Open the page; what it logs and how far it shifts is noted, and errors fail the test at its end."""
    troubles: list[str] = []
    contexts = []

    def open_page(part: str = "", *, width: int = 1280, height: int = 900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.add_init_script(NOTE_SHIFTS)
        page.goto(f"{address}/{part}")
        return page

    open_page.troubles = troubles
    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


NOTE_SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
