"""Hypernetworks as folders: loaded anywhere they write the same networks, and their card invents nothing."""

import json

import pytest
import torch
import trainings
from making import make_condition, make_vector_hypernetwork
from torch import nn

import netwright as nw
from netwright.artifacts import read_artifact, write_artifact
from netwright.errors import ArtifactError, RunError
from netwright.learners import records
from netwright.tabular import TableWriter
from netwright.training import load_writer


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "sine"
    trainings.run(folder)
    return folder


def sine_condition():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(1, 5, 1, generator=rng)
    return nw.Condition(nw.ExampleSet.of(x, x.sin()))


def same_networks(a, b, condition):
    return all(torch.equal(value, b(condition)[name]) for name, value in a(condition).items())


def test_a_saved_hypernetwork_writes_the_same_networks(run_folder, tmp_path):
    hypernetwork, run = nw.load_hypernetwork(run_folder)
    hypernetwork.save_pretrained(tmp_path / "saved")
    loaded = nw.Hypernetwork.from_pretrained(str(tmp_path / "saved"))
    assert same_networks(hypernetwork, loaded, sine_condition())
    assert loaded.run == run
    assert loaded.run_digest == run.digest
    mine, theirs = (h.generate(sine_condition()).provenance for h in (hypernetwork, loaded))
    assert mine == theirs
    assert {path.name for path in (tmp_path / "saved").iterdir()} == {
        "config.json", "model.safetensors", "run.json", "manifest.json", "README.md",
    }  # fmt: skip
    manifest = json.loads((tmp_path / "saved" / "manifest.json").read_text())
    assert manifest["provenance"]["run"] == run.digest


def test_commands_take_a_saved_folder_as_they_take_a_run(run_folder, tmp_path, run):
    assert run("evaluate", run_folder, "--tasks", "20")[0] == 0
    code, out, _ = run("save", run_folder, "--out", "saved")
    assert code == 0
    assert "tells of the evaluations on: test" in out
    report = json.loads((run_folder / "evaluation-test.json").read_text())
    loss = next(iter(report["metrics"].values()))
    card = (tmp_path / "saved" / "README.md").read_text()
    assert f"{loss['value']:.4f} | {loss['low']:.4f} to {loss['high']:.4f}" in card
    assert report["fingerprint"] in card
    assert "`sine`" in card
    code, out, _ = run("evaluate", "saved", "--tasks", "20")
    assert code == 0
    assert "not saved: saved is sealed" in out
    code, out, _ = run("evaluate", "saved", "--tasks", "20", "--json")
    assert json.loads(out)["metrics"] == report["metrics"]
    support = tmp_path / "support.npz"
    import numpy as np

    x = np.linspace(-1, 1, 5, dtype=np.float32)[:, None]
    np.savez(support, x=x, y=np.sin(x))
    for source, name in ((run_folder, "a"), ("saved", "b")):
        assert run("generate", source, "--support", support, "--out", name)[0] == 0
    assert run("predict", "a", support)[1] == run("predict", "b", support)[1]
    code, _, err = run("generate", "saved", "--support", support, "--out", "c", "--weights", "last")
    assert code == 1
    assert "holds one set of weights" in err
    code, _, err = run("design", "saved", "--support", support)
    assert code == 1
    assert "writes networks of one architecture" in err
    # A folder that was saved may be saved again, of itself as well.
    assert run("save", "saved", "--out", "again")[0] == 0
    read_artifact(tmp_path / "again", "hypernetwork")


def test_the_card_says_what_is_not_known(tmp_path):
    make_vector_hypernetwork("dense").save_pretrained(tmp_path / "saved")
    card = (tmp_path / "saved" / "README.md").read_text()
    assert "Not known: these weights have not been evaluated" in card
    assert card.count("Not known: no record says it.") == 3
    assert "accuracy" not in card
    with pytest.raises(RunError, match="saved without the record of a run.*from_pretrained"):
        load_writer(tmp_path / "saved")


def test_evaluations_of_other_weights_are_not_in_the_card(run_folder, tmp_path, run):
    run("evaluate", run_folder, "--tasks", "20")
    hypernetwork, _ = nw.load_hypernetwork(run_folder)
    hypernetwork.save_pretrained(tmp_path / "same")
    assert "| test | 20 |" in (tmp_path / "same" / "README.md").read_text()
    with torch.no_grad():
        next(hypernetwork.parameters()).add_(0.01)
    hypernetwork.save_pretrained(tmp_path / "other")
    assert "| test |" not in (tmp_path / "other" / "README.md").read_text()


def test_a_writer_for_tables_has_the_same_form(tmp_path):
    writer = TableWriter(size=16, hidden=8, depth=1)
    writer.save_pretrained(tmp_path / "tables")
    loaded = TableWriter.from_pretrained(tmp_path / "tables")
    assert all(torch.equal(v, loaded.state_dict()[n]) for n, v in writer.state_dict().items())
    with pytest.raises(RunError, match="of a writer 'table', expected a hypernetwork"):
        nw.Hypernetwork.from_pretrained(tmp_path / "tables")
    make_vector_hypernetwork("dense").save_pretrained(tmp_path / "vectors")
    with pytest.raises(RunError, match="another kind of writer, expected one for tables"):
        TableWriter.from_pretrained(tmp_path / "vectors")


def test_folders_of_the_first_form_still_load():
    from importlib.resources import files
    from pathlib import Path

    folder = Path(str(files("netwright") / "pretrained" / "tables"))
    assert not (folder / "config.json").exists()
    writer = TableWriter.from_pretrained(folder)
    assert writer.run_digest
    assert next(writer.parameters()).dtype == torch.float32


def test_networks_of_the_first_form_still_load(tmp_path):
    network = make_vector_hypernetwork("dense").generate(
        make_condition(1, torch.Generator().manual_seed(0), "examples")
    )
    files = network.files()
    del files["README.md"]
    write_artifact(tmp_path / "old", "network", files)
    x = torch.randn(3, 3)
    assert torch.equal(nw.load_network(tmp_path / "old")(x), network(x))


def test_a_child_of_the_users_own_is_asked_for(tmp_path):
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    hypernetwork = nw.Hypernetwork(
        nw.Child(module), nw.conditioners.Examples((3,), outputs=2), "dense"
    )
    hypernetwork.save_pretrained(tmp_path / "own")
    with pytest.raises(RunError, match="a module of your own, expected that module"):
        nw.Hypernetwork.from_pretrained(tmp_path / "own")
    loaded = nw.Hypernetwork.from_pretrained(tmp_path / "own", child=nw.Child(module))
    condition = make_condition(2, torch.Generator().manual_seed(0), "examples")
    assert same_networks(hypernetwork, loaded, condition)


def test_loading_leaves_the_random_state_alone(tmp_path):
    make_vector_hypernetwork("dense").save_pretrained(tmp_path / "saved")
    before = torch.random.get_rng_state()
    nw.Hypernetwork.from_pretrained(tmp_path / "saved")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_rival_says_how_it_is_loaded():
    rival = next(k for k in vars(records).values() if isinstance(k, type) and k.__name__ == "Cavia")
    with pytest.raises(RunError, match="Cavia is not built from a record by itself. Use"):
        rival.from_record({})


@pytest.mark.parametrize(
    "config",
    [
        b"{}", b"[]", b"7", b"null", b'{"hypernetwork": null, "preparation": null}', b"{",
        b'{"hypernetwork": {}, "preparation": null}', b"[" * 100_000,
        b'{"hypernetwork": {"child": 7}, "preparation": 3}',
        b'{"hypernetwork": {"child": {"family": "os.system"}}, "preparation": 3}',
        b'{"hypernetwork": {"writer": "os.system"}, "preparation": 3}',
    ],
    ids=range(11),
)  # fmt: skip
def test_a_config_made_by_hand_is_refused_in_one_line(tmp_path, config):
    make_vector_hypernetwork("dense").save_pretrained(tmp_path / "saved")
    files = read_artifact(tmp_path / "saved", "hypernetwork")
    write_artifact(tmp_path / "saved", "hypernetwork", {**files, "config.json": config})
    with pytest.raises((ArtifactError, RunError)) as refusal:
        nw.Hypernetwork.from_pretrained(tmp_path / "saved")
    assert "\n" not in str(refusal.value)


def test_a_network_that_claims_to_be_huge_is_refused_before_it_is_built(tmp_path):
    network = make_vector_hypernetwork("dense").generate(
        make_condition(1, torch.Generator().manual_seed(0), "examples")
    )
    files = network.files()
    config = json.loads(files["config.json"])
    config["architecture"]["hidden"] = [9_000, 9_000]
    files["config.json"] = json.dumps(config).encode()
    write_artifact(tmp_path / "huge", "network", files)
    with pytest.raises(
        ArtifactError, match=r"its network has 81,0\d\d,\d+ parameters and holds 746"
    ):
        nw.load_network(tmp_path / "huge")
