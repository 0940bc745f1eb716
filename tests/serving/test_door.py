"""Who is let in: tokens, quotas, tenants, and requests from the wrong place."""

import json
import stat
import time

import pytest
from servers import asks, make_app
from starlette.testclient import TestClient

from netwright.errors import DataError, RunError
from netwright.serving import serve
from netwright.serving.problems import RequestError
from netwright.serving.quotas import Quotas
from netwright.serving.tokens import Token, TokenFile, new_token, read_tokens


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tokens.json"


def bearer(token: str) -> dict:
    return {"Authorization": f"Bearer {token}"}


def test_a_token_is_kept_as_a_digest_that_its_owner_alone_may_read(file):
    token = new_token(file, "alice")
    assert token.split("_", 2)[2] not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = TokenFile(file).find(token)
    assert found is not None
    assert found.name == "alice"


def test_tokens_that_are_none_are_not_found(file):
    token = new_token(file, "alice")
    tokens = TokenFile(file)
    wrong = token[:-1] + ("A" if token[-1] != "A" else "B")
    for presented in (
        wrong,
        "",
        "nw_",
        token + "x",
        token.replace("nw_", "nw_0"),
        "é" * 63,
        token.upper(),
    ):
        assert tokens.find(presented) is None


def test_a_file_that_changes_is_read_again(file, monkeypatch):
    monkeypatch.setattr("netwright.serving.tokens._LOOKS_EVERY_S", -1.0)
    first = new_token(file, "alice")
    tokens = TokenFile(file)
    second = new_token(file, "bob")
    assert tokens.find(second).name == "bob"
    whole = file.read_text()
    file.write_text("{")
    assert tokens.find(first).name == "alice", "a damaged file changes nothing"
    file.write_text(json.dumps({**json.loads(whole), "tokens": json.loads(whole)["tokens"][1:]}))
    assert tokens.find(first) is None
    file.unlink()
    assert tokens.find(second) is None, "a file that is gone lets nobody in"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2, "tokens": []}',
        '{"format": 1, "tokens": [{}]}',
        '{"format": 1, "tokens": [1]}',
    ],
)
def test_what_is_no_file_of_tokens_is_refused(file, text):
    file.write_text(text)
    with pytest.raises(DataError, match="netwright token new"):
        TokenFile(file)


def test_names_and_quotas_of_tokens_are_checked(file):
    for name in ("", "a b", "é", "x" * 65, "../a"):
        with pytest.raises(DataError, match="name of a token"):
            new_token(file, name)
    with pytest.raises(DataError, match="below 1"):
        new_token(file, "alice", bytes_per_day=0)
    assert not file.exists()
    new_token(file, "alice", bytes_per_day=7)
    assert [t.bytes_per_day for t in read_tokens(file).values()] == [7]


def test_requests_come_back_with_the_minute_and_the_rest_with_the_day():
    now = [86_400.0 * 3]
    quotas = Quotas(lambda: now[0])
    token = Token(
        "a", "alice", "", "", 0.0, requests_per_minute=2, bytes_per_day=10, parameters_per_day=5
    )
    quotas.request(token)
    quotas.request(token)
    with pytest.raises(RequestError) as refused:
        quotas.request(token)
    assert refused.value.headers["Retry-After"] in ("30", "31")
    now[0] += 31
    quotas.request(token)
    quotas.bytes(token, 10)
    quotas.parameters(token, 5)
    for used in (quotas.bytes, quotas.parameters):
        with pytest.raises(RequestError, match="per day") as refused:
            used(token, 1)
        assert 86_000 < int(refused.value.headers["Retry-After"]) <= 86_400
    quotas.give_back(token, 1)
    quotas.parameters(token, 1)
    now[0] += 86_400
    quotas.bytes(token, 10)


@pytest.fixture
def two(tmp_path, file):
    """A server with two tenants."""
    tokens = {name: new_token(file, name) for name in ("alice", "bob")}
    with TestClient(
        make_app(tmp_path, "letters", tokens=TokenFile(file)), base_url="http://a"
    ) as client:
        yield client, tokens


def test_without_a_token_nothing_private_is_answered(two):
    client, tokens = two
    for headers in (
        {},
        bearer("nw_0_0"),
        {"Authorization": tokens["alice"]},
        {"Authorization": f"Basic {tokens['alice']}"},
    ):
        for method, path in (
            ("GET", "/v1/hypernetworks"),
            ("POST", "/v1/networks"),
            ("GET", "/metrics"),
            ("GET", "/v1/x"),
        ):
            answer = client.request(method, path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
    assert client.get("/healthz").status_code == 200
    assert client.get("/v1/hypernetworks", headers=bearer(tokens["alice"])).status_code == 200


def test_a_token_twice_is_refused(two):
    client, tokens = two
    headers = [("Authorization", f"Bearer {tokens[name]}") for name in ("alice", "bob")]
    assert client.get("/v1/hypernetworks", headers=headers).status_code == 400


def test_a_tenant_sees_its_own_networks_only(two, file):
    client, tokens = two
    alice, bob = bearer(tokens["alice"]), bearer(tokens["bob"])
    network_id = client.post("/v1/networks", json=asks(), headers=alice).json()["id"]
    path = f"/v1/networks/{network_id}"
    x = {"x": [[0.0] * 4]}
    assert client.post(f"{path}/predict", json=x, headers=alice).status_code == 200
    for method, of, body in (
        ("GET", path, None), ("GET", f"{path}/export?format=c", None), ("POST", f"{path}/predict", x), ("DELETE", path, None)
    ):  # fmt: skip
        assert client.request(method, of, json=body, headers=bob).status_code == 404
    assert client.get("/v1/networks", headers=bob).json()["networks"] == []
    # A second token of the same name is the same tenant.
    second = bearer(new_token(file, "alice"))
    time.sleep(1.05)
    assert client.get(path, headers=second).status_code == 200


def test_keys_of_two_tenants_do_not_meet(two):
    client, tokens = two
    made = [
        client.post(
            "/v1/networks", json=asks(i), headers={**bearer(tokens[n]), "Idempotency-Key": "k"}
        )
        for i, n in enumerate(("alice", "bob"))
    ]
    assert [answer.status_code for answer in made] == [201, 201]


def test_quotas_are_kept_and_what_fails_costs_no_parameters(tmp_path, file):
    size = 4 * 8 + 8 + 8 * 6 + 6 + 6 * 3 + 3
    token = bearer(new_token(file, "a", parameters_per_day=2 * size, requests_per_minute=5))
    with TestClient(
        make_app(tmp_path, "letters", tokens=TokenFile(file)), base_url="http://a"
    ) as client:
        late = {**token, "Deadline-Ms": "1"}
        assert client.post("/v1/networks", json=asks(shots=300), headers=late).status_code == 504
        statuses = [client.post("/v1/networks", json=asks(i), headers=token) for i in range(4)]
        assert [answer.status_code for answer in statuses] == [201, 201, 429, 429]
        assert statuses[2].json()["error"]["message"].endswith("parameters per day.")
        last = client.post("/v1/networks", json=asks(), headers=token)
        assert last.json()["error"]["message"].endswith("requests per minute.")


def test_bytes_are_counted(tmp_path, file):
    token = bearer(new_token(file, "a", bytes_per_day=1_000))
    with TestClient(
        make_app(tmp_path, "letters", tokens=TokenFile(file)), base_url="http://a"
    ) as client:
        answers = [client.post("/v1/networks", json=asks(), headers=token) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 429, 429]


@pytest.fixture
def local(tmp_path):
    with TestClient(
        make_app(tmp_path, "letters", body_bytes=20_000), base_url="http://localhost:8000"
    ) as client:
        yield client


def test_every_answer_has_the_headers_of_a_careful_server(local):
    for path in ("/healthz", "/v1/hypernetworks", "/nothing"):
        headers = local.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert ("no-store" in headers.get("cache-control", "")) == path.startswith("/v1")
        assert "server" not in headers


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::2]", "127.evil"],
)
def test_names_of_other_machines_are_not_answered_without_tokens(local, host):
    assert local.get("/v1/hypernetworks", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST", "127.3.2.1"]
)
def test_names_of_this_machine_are_answered(local, host):
    assert local.get("/v1/hypernetworks", headers={"Host": host}).status_code == 200


def test_pages_of_other_sites_cannot_use_the_server(local):
    for origin in ("https://evil.example", "null", "http://localhost:9", "http://["):
        answer = local.post("/v1/networks", json=asks(), headers={"Origin": origin})
        assert answer.status_code == 403, origin
    answer = local.post("/v1/networks", json=asks(), headers={"Origin": "http://localhost:8000"})
    assert answer.status_code == 201


def test_long_bodies_are_refused_declared_or_not(local):
    text = b" " * 20_001
    assert (
        local.post(
            "/v1/networks", content=text, headers={"Content-Type": "application/json"}
        ).status_code
        == 413
    )

    def chunks():
        for _ in range(30):
            yield b" " * 1_000

    for path in ("/v1/networks", "/v1/predict", "/v1/networks/a/predict"):
        answer = local.post(path, content=chunks(), headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
    files = [("a", ("a.png", b"x" * 20_000))]
    assert (
        local.post("/v1/networks", data={"hypernetwork": "letters"}, files=files).status_code == 413
    )


def test_only_this_machine_is_served_without_tokens(tmp_path):
    for host in ("0.0.0.0", "::", "192.168.1.2", "example.com"):
        with pytest.raises(RunError, match="netwright token new"):
            serve({}, host=host)
