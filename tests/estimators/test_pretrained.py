"""The hypernetwork for drawings that comes with the package."""

import json

import numpy as np
import pytest
import torch
from drawn import circle, cross, wave

from netwright.conditions import ExampleSet
from netwright.estimators.pretrained import DRAWINGS, pretrained_drawings, shipped_folder
from netwright.serving.drawings import drawings_served
from netwright.tasks.ink import picture_of_strokes

SHAPES = (circle, cross, wave)


def picture(shape, **how) -> torch.Tensor:
    return torch.tensor(picture_of_strokes([np.array(stroke) for stroke in shape(**how)]))


def test_it_is_small_and_says_what_it_was_trained_on():
    folder = shipped_folder(DRAWINGS)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5_000_000
    sources = (folder / "SOURCES.txt").read_text()
    assert "MIT licence" in sources
    assert "Open Font Licence" in sources
    run = pretrained_drawings().run
    assert run is not None
    assert run.family["name"] == "drawings"
    evaluation = json.loads((folder / "evaluation-test.json").read_text())
    assert evaluation["metrics"]["accuracy"]["low"] > 0.9


@pytest.mark.parametrize("ways", [2, 3])
@pytest.mark.parametrize("shots", [1, 3])
def test_it_writes_networks_that_tell_drawings_apart(ways, shots):
    shapes = SHAPES[:ways]
    x = torch.stack([picture(s, x=0.3 + 0.1 * i) for s in shapes for i in range(shots)])
    y = torch.arange(ways).repeat_interleave(shots)
    network = pretrained_drawings().generate(ExampleSet.of(x[None, :, None], y[None]))
    # Turned, or of other proportions: not those that the network was written from.
    queries = [circle(start=2.0), cross(size=0.21), wave(size=0.2)][:ways]
    squeezed = [[np.array(stroke) * [1.0, 1.25] for stroke in query] for query in queries]
    asked = torch.tensor(np.stack([picture_of_strokes(query) for query in squeezed]))
    with torch.no_grad():
        assert network(asked[:, None]).argmax(1).tolist() == list(range(ways))


def test_a_server_can_serve_it():
    told = drawings_served()
    assert (told.name, told.kind, told.accepts) == (DRAWINGS, "exchangeable-classes", ("examples",))
