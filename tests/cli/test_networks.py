"""`netwright networks`: what a registry holds, one line per mistake."""

import json

import pytest
import torch
from making import make_condition, make_vector_hypernetwork

import netwright as nw
from netwright.registry import Registry


@pytest.fixture
def registry(tmp_path):
    rng = torch.Generator().manual_seed(0)
    networks = make_vector_hypernetwork("dense").generate_many(make_condition(3, rng, "examples"))
    registry = Registry(
        f"sqlite:///{tmp_path}/networks/registry.db", tmp_path / "networks" / "artifacts"
    )
    registry.add_many(networks, owner=["", "ann", "ann"], network_ids=["zero", "one", "two"])
    return registry


def test_networks_are_listed_shown_verified_and_removed(run, registry, tmp_path):
    code, out, _ = run("networks", "list")
    assert code == 0
    assert "3 of 3 networks in sqlite:///networks/registry.db" in out
    assert [line.split()[0] for line in out.splitlines()] == ["id", "zero", "one", "two", "3"]
    code, out, _ = run("networks", "list", "--owner", "ann", "--limit", "1", "--json")
    told = json.loads(out)
    assert (told["count"], told["networks"][0]["network_id"]) == (2, "one")
    code, out, _ = run("networks", "show", "one", "--owner", "ann", "--out", "net")
    assert (
        f"digest of hypernetwork  {registry.entry('one', owner='ann').provenance['hypernetwork']}"
        in out
    )
    assert nw.load_network(tmp_path / "net").size == registry.entry("zero").parameters
    assert run("networks", "verify")[1] == "3 networks are whole, 0 damaged\n"
    assert run("networks", "remove", "one", "--owner", "ann")[1] == "removed one\n"
    assert registry.count() == 2


def test_damage_is_one_line_each_and_exit_code_1(run, registry, tmp_path):
    (pack,) = (tmp_path / "networks" / "artifacts").glob("*.tar")
    data = bytearray(pack.read_bytes())
    data[600] ^= 1
    pack.write_bytes(data)
    code, out, err = run("networks", "verify")
    assert (code, out) == (1, "2 networks are whole, 1 damaged\n")
    assert err.count("\n") == 1
    assert "'zero' has another sha256" in err
    code, _, err = run("networks", "verify", "zero")
    assert code == 1
    assert err.startswith("netwright: The network 'zero'")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "other"), "There is no network 'other'"),
        (("show", "one"), "There is no network 'one'"),
        (("remove", "one", "--owner", "bob"), "There is no network 'one'"),
        (("list", "--registry", "nonsense"), "URL cannot be read"),
        (("list", "--registry", "sqlite:///elsewhere.db"), "is not there and its artefacts are"),
        (("list", "--artifacts", "elsewhere"), "There is no registry at sqlite:///networks/r"),
    ],
)
def test_a_mistake_is_one_line(run, registry, tmp_path, arguments, message):
    code, out, err = run("networks", *arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"networks"}
