"""The description of the server is true."""

import json
import random
import sys
from pathlib import Path

import pytest
from servers import COLUMNS, MAKERS, asks, make_app
from starlette.testclient import TestClient

from netwright.serving.tokens import TokenFile, new_token


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    app = make_app(tmp_path_factory.mktemp("served"), "letters", max_delay_s=0.0)
    with TestClient(app, base_url="http://localhost") as client:
        yield client


@pytest.fixture(scope="module")
def described(client):
    return client.get("/openapi.json").json()


def operations(described):
    return [(m, p, o) for p, methods in described["paths"].items() for m, o in methods.items()]


def test_every_route_is_described_with_its_answers_and_errors(described):
    names = {(method, path) for method, path, _ in operations(described)}
    assert ("post", "/v1/networks/{network_id}/predict") in names
    assert len(names) == 11
    for method, path, operation in operations(described):
        assert operation["summary"].endswith("."), (method, path)
        assert any(status.startswith("2") for status in operation["responses"])
        for status, response in operation["responses"].items():
            if not status.startswith("2"):
                example = response["content"]["application/json"]["example"]
                assert set(example["error"]) == {"code", "message"}
    ids = [operation["operationId"] for _, _, operation in operations(described)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", [*MAKERS])
def test_examples_of_requests_are_answered(tmp_path, name):
    with TestClient(
        make_app(tmp_path, name, max_delay_s=0.0), base_url="http://localhost"
    ) as client:
        described = client.get("/openapi.json").json()
        network_id = ""
        for path in ("/v1/networks", "/v1/predict", "/v1/networks/{network_id}/predict"):
            content = described["paths"][path]["post"]["requestBody"]["content"]
            example = content["application/json"]["example"]
            answer = client.post(path.replace("{network_id}", network_id), json=example)
            assert answer.is_success, answer.text
            network_id = answer.json().get("id", network_id)


def test_answers_have_what_their_schema_says(client, described):
    created = client.post("/v1/networks", json=asks())
    schemas = described["paths"]["/v1/networks"]["post"]["responses"]["201"]["content"]
    schema = schemas["application/json"]["schema"]
    assert set(created.json()) == set(schema["required"]) == set(schema["properties"])
    answer = client.post(
        f"/v1/networks/{created.json()['id']}/predict", json={"x": [[0.0] * COLUMNS]}
    )
    path = described["paths"]["/v1/networks/{network_id}/predict"]["post"]
    schema = path["responses"]["200"]["content"]["application/json"]["schema"]
    assert set(schema["required"]) <= set(answer.json()) <= set(schema["properties"])
    listed = client.get("/v1/hypernetworks").json()[0]
    schema = described["paths"]["/v1/hypernetworks"]["get"]["responses"]["200"]["content"]
    assert set(listed) == set(schema["application/json"]["schema"]["items"]["properties"])


def test_tokens_are_described_where_they_are_needed(tmp_path):
    new_token(tmp_path / "tokens.json", "a")
    app = make_app(tmp_path, "letters", tokens=TokenFile(tmp_path / "tokens.json"))
    with TestClient(app, base_url="http://localhost") as client:
        described = client.get("/openapi.json").json()
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for _, path, operation in operations(described):
        is_open = path in ("/healthz", "/readyz")
        assert ("security" in operation) == (not is_open)


def test_a_page_is_served_where_there_is_one(tmp_path):
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("<p>a page</p>")
    (tmp_path / "secret").write_text("secret")
    from servers import make_service

    from netwright.serving.app import build_app

    app = build_app(make_service(tmp_path, "letters"), static=page)
    with TestClient(app, base_url="http://localhost") as client:
        assert client.get("/").text == "<p>a page</p>"
        assert "script-src 'self'" in client.get("/").headers["content-security-policy"]
        assert client.get("/%2e%2e/secret").status_code == 404
        assert client.get("/healthz").json() == {"status": "alive"}
        assert client.get("/nothing").json()["error"]["code"] == "not_found"


def test_mutated_bodies_are_answered_and_never_by_a_failure(client):
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    try:
        from serving_hostile import mutated
    finally:
        sys.path.pop(0)
    rng = random.Random(0)
    network_id = client.post("/v1/networks", json=asks()).json()["id"]
    seeds = [
        ("/v1/networks", asks()),
        ("/v1/predict", {**asks(), "x": [[0.5] * COLUMNS]}),
        (f"/v1/networks/{network_id}/predict", {"x": [[0.5] * COLUMNS] * 3}),
    ]
    statuses = set()
    for number in range(150):
        path, body = seeds[number % 3]
        text = mutated(rng, json.dumps(body).encode())
        answer = client.post(path, content=text, headers={"Content-Type": "application/json"})
        statuses.add(answer.status_code)
        assert answer.status_code < 500, (path, text)
    assert {400, 422} <= statuses
