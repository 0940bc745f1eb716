"""The picture of a search."""

from dataclasses import replace

import pytest
from designs import SPACE, rows
from PIL import Image

import netwright as nw
from netwright.architectures import Limits
from netwright.errors import ArtifactError
from netwright.search import design, draw


@pytest.fixture(scope="module")
def found(digits_run):
    hypernetwork, _ = nw.load_hypernetwork(digits_run)
    return design(
        hypernetwork, SPACE, limits=Limits(bytes=6000), held_out=rows("validation"), candidates=10
    )


def test_pictures_are_of_a_size_that_can_be_read(found, tmp_path):
    with Image.open(draw(found, tmp_path / "front.png")) as image:
        assert image.format == "PNG"
        width, height = image.size
        assert 800 <= width <= 1000
        assert 1000 <= height <= 1300
        assert len(image.convert("RGB").resize((60, 80)).getcolors(9_999)) > 20


def test_there_is_a_panel_per_cost_and_what_it_says_is_text(found, tmp_path):
    other = replace(found, by=("latency_ms", "bytes"))
    text = draw(other, tmp_path / "front.svg").read_text()
    for word in ("milliseconds per input", "bytes of weights", "chosen", "budget", "accuracy, %"):
        assert f"<!-- {word} -->" in text
    assert "FLOPs" not in text


def test_one_network_alone_can_be_drawn(found, tmp_path):
    only = replace(found, front=(found.chosen,), tried=(found.chosen,), by=("bytes",))
    assert draw(only, tmp_path / "one.png").stat().st_size > 5_000


def test_values_are_errors(found, tmp_path):
    def error(each):
        return replace(each, metric="mse", value=0.01 + each.loss)

    others = {name: tuple(map(error, getattr(found, name))) for name in ("front", "tried")}
    values = replace(found, chosen=error(found.chosen), **others)
    assert "<!-- mean squared error -->" in draw(values, tmp_path / "v.svg").read_text()


def test_other_endings_are_refused(found, tmp_path):
    with pytest.raises(ArtifactError, match=r"ends in '.pdf', expected .png or .svg"):
        draw(found, tmp_path / "front.pdf")
