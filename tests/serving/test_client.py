"""The client, against a server over real sockets."""

import numpy as np
import pytest
from servers import threaded_server

from netwright.client import Client, ServerError
from netwright.serving.tokens import TokenFile, new_token

EXAMPLES = (np.eye(4), ["a", "b", "a", "b"])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Its address, and a token."""
    home = tmp_path_factory.mktemp("server")
    token = new_token(home / "tokens.json", "alice")
    with threaded_server(home, TokenFile(home / "tokens.json")) as port:
        yield f"http://127.0.0.1:{port}", token


@pytest.fixture
def client(server):
    with Client(*server) as client:
        yield client


def test_a_network_is_written_run_taken_away_and_deleted(client):
    assert [each["name"] for each in client.hypernetworks()] == ["letters"]
    network = client.create("letters", examples=EXAMPLES)
    assert client.get(network.id) == network
    assert network in list(client.list())
    said = client.predict(network, np.eye(4))
    assert (said.labels, len(said.predicted)) == (("a", "b"), 4)
    once = client.predict_once("letters", np.eye(4), examples=EXAMPLES)
    np.testing.assert_allclose(once.outputs, said.outputs, atol=1e-5)
    assert client.export(network, "c").startswith(b"/*")
    client.delete(network)
    client.delete(network)
    with pytest.raises(ServerError) as gone:
        client.get(network.id)
    assert (gone.value.status, gone.value.code) == (404, "not_found")


def test_a_call_that_is_repeated_with_a_key_writes_one_network(client):
    first = client.create("letters", examples=EXAMPLES, idempotency_key="k")
    assert client.create("letters", examples=EXAMPLES, idempotency_key="k") == first


def test_a_server_says_what_is_wrong(server, client):
    network = client.create("letters", examples=EXAMPLES)
    with pytest.raises(ServerError, match="`x` must be rows"):
        client.predict(network, [[1.0]])
    with Client(server[0]) as stranger, pytest.raises(ServerError, match="token") as refused:
        stranger.hypernetworks()
    assert refused.value.status == 401
    for name in ("../x", "", "é"):
        with pytest.raises(ServerError, match="no id"):
            client.get(name)


def test_a_server_that_is_not_there_is_named(monkeypatch):
    rests = []
    monkeypatch.setattr("time.sleep", rests.append)
    with (
        Client("http://127.0.0.1:9", tries=3) as client,
        pytest.raises(ServerError, match="127.0.0.1:9"),
    ):
        client.hypernetworks()
    assert len(rests) == 2
    assert rests[0] < rests[1] * 4
