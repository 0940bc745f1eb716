"""The page's files that are committed are those that its sources make."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import netwright

WEB = Path(__file__).parents[2] / "web"
STATIC = Path(netwright.__file__).parent / "serving" / "static"
SOURCES = (
    "index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "public", "src",
)  # fmt: skip


def files_of(path: Path) -> list[Path]:
    return [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]


def test_the_built_files_name_the_sources_that_they_were_built_from():
    lines = [
        f"{path.relative_to(WEB).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for name in SOURCES
        for path in files_of(WEB / name)
    ]
    digest = hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
    built = (STATIC / "sources.sha256").read_text().strip()
    assert built == digest, "web/ was changed and not built: cd web && npm ci && npm run build"


def test_the_page_asks_no_other_host_for_anything():
    page = (STATIC / "index.html").read_text()
    assert not re.findall(r"(?:src|href)=\"(?!\./|#)", page)
    # Neither scripts nor styles stand in the page: its policy allows none.
    assert not re.findall(r"<script(?![^>]* src=)|<style|style=|\son\w+=", page)
    assert not re.findall(r"url\((?!data:)", "".join(p.read_text() for p in STATIC.rglob("*.css")))


def test_what_is_shipped_is_small():
    sizes = {path.name: path.stat().st_size for path in files_of(STATIC)}
    assert sum(sizes.values()) < 3_500_000
    assert "THIRD-PARTY.txt" in sizes


@pytest.mark.slow
def test_the_sources_make_the_committed_files():
    if shutil.which("node") is None:
        pytest.skip("needs Node")
    if not (WEB / "node_modules").is_dir():
        pytest.skip("needs the page's packages: cd web && npm ci")
    done = subprocess.run(
        [WEB / "check", "--installed"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
