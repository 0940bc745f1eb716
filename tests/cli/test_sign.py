"""`netwright sign` and `netwright verify`."""

import json

import torch
import trainings
from making import make_condition, make_vector_hypernetwork

import netwright as nw


def test_a_network_is_signed_verified_and_still_loads(run, tmp_path):
    hypernetwork = make_vector_hypernetwork("dense")
    hypernetwork.save_pretrained(tmp_path / "hyper")
    condition = make_condition(1, torch.Generator().manual_seed(0), "examples")
    hypernetwork.generate(condition).save(tmp_path / "net")
    code, out, _ = run("sign", "net", "--key", "key.pem", "--new-key")
    assert code == 0
    assert "netwright verify net --key key.pub.pem" in out
    code, out, _ = run("verify", "net", "--key", "key.pub.pem")
    assert code == 0
    assert out.startswith("net: whole network, 3 files, ")
    nw.load_network(tmp_path / "net")
    code, out, _ = run("sign", "hyper", "--key", "key.pem", "--json")
    signed_by = json.loads(out)["signed_by"]
    nw.Hypernetwork.from_pretrained(tmp_path / "hyper")
    assert json.loads(run("verify", "hyper", "--json")[1])["hyper"]["signed_by"] == signed_by
    code, _, err = run("sign", "net", "--key", "key.pem", "--new-key")
    assert (code, err.count("\n")) == (1, 1)
    weights = tmp_path / "net" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    code, _, err = run("verify", "net")
    assert (code, err.count("\n")) == (1, 1)
    assert "model.safetensors has" in err


def test_all_checkpoints_of_a_run_are_verified(run, tmp_path):
    trainings.run(tmp_path / "run")
    code, out, _ = run("verify", "run")
    assert code == 0
    assert all("whole checkpoint" in line and "not signed" in line for line in out.splitlines())
    assert len(out.splitlines()) >= 2
    code, _, err = run("verify", "absent")
    assert code == 1
    assert "absent is not there" in err
