"""What the documentation shows is what happens."""

import contextlib
import io
import re
from pathlib import Path

import pytest
import yaml

import netwright as nw
from netwright.architectures import ARCHITECTURES
from netwright.conditioners import CONDITIONERS
from netwright.generators import GENERATORS
from netwright.learners.catalogue import LEARNERS
from netwright.referee import experiment_of
from netwright.tasks import FAMILIES

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# A Python block that is followed at once by a text block shows its output.
EXAMPLE = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
EXAMPLES = [(page.name, *match) for page in PAGES for match in EXAMPLE.findall(page.read_text())]


@pytest.mark.parametrize(
    ("page", "code", "output"), EXAMPLES, ids=lambda v: v if "\n" not in v else ""
)
def test_examples_print_what_their_page_says(page, code, output, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, page, "exec"), {})
    assert printed.getvalue() == output


def test_experiments_in_pages_hold_together():
    blocks = [
        b for page in PAGES for b in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    ]
    experiments = [block for block in blocks if "reference:" in block]
    assert experiments
    for block in experiments:
        experiment_of(yaml.safe_load(block))


def test_there_are_examples():
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_member_of_a_family_is_documented():
    pages = "\n".join(page.read_text() for page in PAGES)
    names = [cls.__name__ for cls in CONDITIONERS.values()]
    for name in [*ARCHITECTURES, *GENERATORS, *FAMILIES, *LEARNERS, *names]:
        assert f"`{name}`" in pages, name


def test_pages_name_only_public_things_that_exist():
    for page in PAGES:
        for name in re.findall(r"\bnw\.([a-zA-Z_]+)", page.read_text()):
            assert hasattr(nw, name), (page.name, name)
