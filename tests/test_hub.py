"""Hypernetworks from the hub: what the manifest lists is downloaded, checked, and nothing else."""

import json
import os
import subprocess
import sys

import hub
import pytest
import torch
from making import make_condition, make_vector_hypernetwork

import netwright as nw
from netwright.errors import ArtifactError, MissingExtraError

# In a process of its own: the client reads where the hub is when it is imported.
ASK = """
import json, sys
import torch
import netwright as nw
from netwright.errors import NetwrightError

said = {}
for source, revision in json.loads(sys.argv[1]):
    try:
        hypernetwork = nw.Hypernetwork.from_pretrained(source, revision=revision)
    except NetwrightError as error:
        said[source] = f"{type(error).__name__}: {error}"
    else:
        torch.save(hypernetwork.state_dict(), "weights.pt")
        said[source] = "loaded"
print(json.dumps(said))
"""


def ask(endpoint, folder, *sources):
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "home")}
    environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ASK, json.dumps(sources)], cwd=folder, env=environment, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_repository_is_loaded_checked_and_only_what_its_manifest_lists(tmp_path):
    pytest.importorskip("huggingface_hub")
    hypernetwork = make_vector_hypernetwork("dense")
    hypernetwork.save_pretrained(tmp_path / "saved")
    files = {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir()}
    extra = {"pytorch_model.bin": b"\x80\x04", "modeling.py": b"raise SystemExit", ".gitattributes": b""}  # fmt: skip
    flipped = bytearray(files["model.safetensors"])
    flipped[-3] ^= 1
    make_vector_hypernetwork("dense").generate(
        make_condition(1, torch.Generator().manual_seed(0), "examples")
    ).save(tmp_path / "net")
    network = {path.name: path.read_bytes() for path in (tmp_path / "net").iterdir()}
    repositories = {
        "ann/whole": files | extra,
        "ann/flipped": files | {"model.safetensors": bytes(flipped)},
        "ann/longer": files | {"model.safetensors": files["model.safetensors"] + b"\0"},
        "ann/cut": {n: d for n, d in files.items() if n != "config.json"},
        "ann/network": network,
        "ann/bare": extra,
    }
    asked_for = ["whole", "flipped", "longer", "cut", "network", "bare", "absent"]
    with hub.serving(repositories) as (endpoint, asked):
        said = ask(endpoint, tmp_path, *[(f"ann/{name}", None) for name in asked_for])
    assert said["ann/whole"] == "loaded"
    loaded = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert all(torch.equal(v, loaded[n]) for n, v in hypernetwork.state_dict().items())
    of_whole = {path.rpartition("/")[2] for path in asked if path.startswith("/ann/whole/")}
    assert of_whole == set(files)
    # All of one commit, whatever is pushed meanwhile.
    later = [p for p in asked if p.startswith("/ann/whole/") and not p.endswith("manifest.json")]
    assert all(hub.COMMIT in path for path in later)
    expected = {
        "flipped": "model.safetensors has another sha256",
        "longer": "on the hub has", "cut": "config.json of it could not be had",
        "network": "holds a network, expected a hypernetwork",
        "bare": "manifest.json of it could not be had", "absent": "could not be had from the hub",
    }  # fmt: skip
    for name, message in expected.items():
        assert said[f"ann/{name}"].startswith("ArtifactError: ann/" if name != "longer" else "ArtifactError: model"), said  # fmt: skip
        assert message in said[f"ann/{name}"]
        assert "\n" not in said[f"ann/{name}"]


def test_what_is_no_repository_is_not_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for source in ("absent", "a/b/c", "../x", "/etc/x", "http://host/x", "a/..%2f", "", "ä/b"):
        with pytest.raises(ArtifactError):
            nw.Hypernetwork.from_pretrained(source)
    with pytest.raises(ArtifactError, match="is not there, expected the folder of a hypernetwork"):
        nw.Hypernetwork.from_pretrained(tmp_path / "a" / "b")


def test_without_the_extra_the_message_names_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match="ann/x is no folder here.*netwright\\[hub\\]"):
        nw.Hypernetwork.from_pretrained("ann/x")
