"""What all tests share."""

import os
import shutil
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

from netwright import cli

hypothesis.settings.register_profile("default", deadline=None, max_examples=25)
hypothesis.settings.register_profile(
    "ci", deadline=None, max_examples=25, derandomize=True, print_blob=True
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_collection_modifyitems(items):
    """Skip what is marked `gpu` where there is none."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def browser():
    """The system's Chromium; closed after each module, for while it is open no test can run an event loop of its own."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs Chromium on the path")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory):
    """A cache of this session's own, the same for all workers, so that glyphs are rendered once."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if worker else base) / "netwright-cache"
    before = os.environ.get("NETWRIGHT_CACHE")
    os.environ["NETWRIGHT_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["NETWRIGHT_CACHE"]
    else:
        os.environ["NETWRIGHT_CACHE"] = before


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data sets beside the repository, or in $NETWRIGHT_DATA."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NETWRIGHT_DATA", beside))
    if not folder.is_dir():
        pytest.skip("needs the real data sets in ../shared/data or $NETWRIGHT_DATA")
    return folder


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory) -> Path:
    """A run that writes MLPs of many sizes for digits."""
    from designs import train_digits

    return train_digits(tmp_path_factory.mktemp("designs") / "digits")


@pytest.fixture(scope="session")
def pictures_run(tmp_path_factory) -> Path:
    """A run that writes convolutional networks of many sizes for classes of pictures."""
    from designs import train_pictures
    from files import write_pictures

    root = tmp_path_factory.mktemp("designs-pictures")
    write_pictures(root / "photos", 12, 6, np.random.default_rng(0))
    return train_pictures(root / "photos", root / "run")


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Run a command in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["netwright", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stopped:
            code = stopped.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return call
