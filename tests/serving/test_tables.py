"""Tables over HTTP: scored, written, taken away; too much and nonsense refused in words."""

import numpy as np
import pytest
from safetensors.torch import load
from servers import make_service
from starlette.testclient import TestClient

from netwright.estimators.held_out import METRICS
from netwright.serving.app import build_app
from netwright.serving.tables import MOST_BYTES, tables_router
from netwright.serving.tokens import TokenFile, new_token


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    service = make_service(tmp_path_factory.mktemp("served"), "letters")
    app = build_app(service, routers=[tables_router()])
    with TestClient(app, base_url="http://localhost") as client:
        yield client


def csv(rows: int = 60, columns: int = 2) -> bytes:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, columns)).round(3)
    lines = [",".join([*(f"c{i}" for i in range(columns)), "side"])]
    lines += [",".join([*map(str, row), "left" if row[0] < 0 else "right"]) for row in x]
    return "\n".join(lines).encode()


def post(client, content: bytes, target: str = "side", **options):
    return client.post(
        "/v1/tables", files={"file": ("t.csv", content)}, data={"target": target}, **options
    )


def test_a_table_is_scored_and_its_network_can_be_taken_away(client):
    answer = post(client, csv())
    assert answer.status_code == 201
    found = answer.json()
    assert (found["rows"], found["columns"], found["classes"]) == (60, 2, ["left", "right"])
    assert set(found["scores"]["netwright"]) == set(METRICS)
    value, low, high = found["scores"]["netwright"]["accuracy"]
    assert 0.85 < low <= value <= high <= 1
    assert sum(group["rows"] for group in found["calibration"]) == 60

    taken = client.get(f"/v1/tables/{found['id']}/export?format=safetensors")
    assert taken.headers["content-disposition"] == 'attachment; filename="table.safetensors"'
    assert sum(weight.numel() for weight in load(taken.content).values()) == found["parameters"]


@pytest.mark.parametrize(
    ("content", "target", "status", "message"),
    [
        (csv(), "shop", 422, "There is no column 'shop' (the target)"),
        (csv(5), "side", 422, "The table has 5 rows with a target, expected at least 10"),
        (b"", "side", 422, "The table is empty"),
        (b"\xff\xfe\x00\x01" * 30, "side", 422, "The table cannot be read"),
        (csv(), "c0", 422, "Column 'c0' has"),
        (csv(5000), "side", 413, "5,000 rows and 2 columns, expected at most 4,096 and 200"),
        (csv(20, 300), "side", 413, "300 columns"),
        (b"," * 2_000 + b"\n1", "side", 413, "too many columns"),
        (b"a,b\n" * 60_000, "a", 413, "too many rows"),
        (b"a" * (MOST_BYTES + 1), "a", 413, "expected at most 5,000,000 bytes"),
    ],
)
def test_what_cannot_be_done_is_told_in_words(client, content, target, status, message):
    answer = post(client, content, target)
    assert (answer.status_code, message in answer.json()["error"]["message"]) == (status, True)
    # Where the file lies while it is read is nobody's business.
    assert "/tmp" not in answer.text


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"json": {"target": "side"}}, 415),
        ({"data": {"target": "side"}, "files": {"other": b"x"}}, 422),
        ({"files": {"file": ("t.csv", b"x"), "target": ("t", b"side")}}, 400),
        ({"files": {"file": ("t.csv", b"x")}}, 422),
        ({"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data"}}, 400),
    ],
)
def test_forms_that_are_none_are_refused(client, options, status):
    assert client.post("/v1/tables", **options).status_code == status


def test_formats_and_tables_that_are_not_there_are_refused(client):
    assert client.get("/v1/tables/abc/export?format=exe").status_code == 422
    assert client.get("/v1/tables/abc/export").status_code == 404


def test_a_token_sees_only_its_own_tables(tmp_path):
    path = tmp_path / "tokens.json"
    ann, ben = ({"Authorization": f"Bearer {new_token(path, name)}"} for name in ("ann", "ben"))
    service = make_service(tmp_path, "letters")
    app = build_app(service, tokens=TokenFile(path), routers=[tables_router()])
    with TestClient(app, base_url="http://localhost") as client:
        assert post(client, csv()).status_code == 401
        table_id = post(client, csv(), headers=ann).json()["id"]
        route = f"/v1/tables/{table_id}/export?format=safetensors"
        assert client.get(route, headers=ben).status_code == 404
        assert client.get(route, headers=ann).status_code == 200
