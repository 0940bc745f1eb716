"""What the server answers."""

import io
import json
import zipfile

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors.torch import load, save
from servers import COLUMNS, asks, condition, make_app, served
from starlette.testclient import TestClient

from netwright.conditions import Condition, ExampleSet
from netwright.serving.strict import array_bytes
from netwright.tasks.images import read_support


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return make_app(tmp_path_factory.mktemp("served"), max_delay_s=0.0)


@pytest.fixture(scope="module")
def client(app):
    with TestClient(app, base_url="http://localhost") as client:
        yield client


def rows(count: int = 3, seed: int = 5) -> torch.Tensor:
    return torch.randn(count, COLUMNS, generator=torch.Generator().manual_seed(seed))


def expected(name: str, condition: dict, x: torch.Tensor) -> torch.Tensor:
    """What the hypernetwork's network says, without a server."""
    examples = condition["examples"]
    support = ExampleSet.of(torch.tensor(examples["x"])[None], torch.tensor(examples["y"])[None])
    network = served(name)[name].hypernetwork.generate(Condition(examples=support))
    with torch.no_grad():
        return network(x)


def test_hypernetworks_say_what_they_accept(client):
    found = {each["name"]: each for each in client.get("/v1/hypernetworks").json()}
    letters = found["letters"]
    assert (letters["kind"], letters["accepts"]) == ("exchangeable-classes", ["examples"])
    assert (letters["input_shape"], letters["classes"]["min"]) == ([4], 2)
    assert letters["child"] == {
        "family": "mlp", "inputs": 4, "hidden": [8, 6], "classes": 3, "outputs": None, "activation": "relu"
    }  # fmt: skip
    assert (found["machines"]["kind"], found["machines"]["accepts"]) == ("values", ["context"])
    assert found["sizes"]["accepts"] == ["examples", "architecture"]
    assert found["machines"]["classes"] is None


def test_a_network_is_written_kept_and_run(client):
    created = client.post("/v1/networks", json=asks(1))
    assert created.status_code == 201
    record = created.json()
    assert created.headers["location"] == f"/v1/networks/{record['id']}"
    assert (record["hypernetwork"], record["labels"]) == ("letters", ["0", "1", "2"])
    assert record["parameters"] == 4 * 8 + 8 + 8 * 6 + 6 + 6 * 3 + 3
    assert record["bytes"] > 4 * record["parameters"]

    x = rows()
    answer = client.post(f"/v1/networks/{record['id']}/predict", json={"x": x.tolist()}).json()
    outputs = torch.tensor(answer["outputs"])
    torch.testing.assert_close(outputs, expected("letters", condition(1), x), atol=1e-5, rtol=1e-5)
    assert answer["predicted"] == [str(c) for c in outputs.argmax(1).tolist()]
    assert client.get(f"/v1/networks/{record['id']}").json() == record


def test_a_network_may_be_run_and_kept_nowhere(client):
    before = client.get("/v1/networks?limit=1000").json()
    x = rows()
    answer = client.post("/v1/predict", json={**asks(2), "x": x.tolist()}).json()
    outputs = torch.tensor(answer["outputs"])
    torch.testing.assert_close(outputs, expected("letters", condition(2), x), atol=1e-5, rtol=1e-5)
    assert client.get("/v1/networks?limit=1000").json() == before


def test_classes_are_named_by_labels_or_by_y_itself(client):
    named = asks(3)
    named["condition"]["examples"]["y"] = ["bee", "ant", "cat"] * 2
    record = client.post("/v1/networks", json=named).json()
    assert record["labels"] == ["ant", "bee", "cat"]
    answer = client.post(f"/v1/networks/{record['id']}/predict", json={"x": rows().tolist()}).json()
    assert set(answer["predicted"]) <= {"ant", "bee", "cat"}
    assert client.post("/v1/networks", json={**asks(3), "labels": ["x", "y", "z"]}).json()[
        "labels"
    ] == ["x", "y", "z"]


def test_contexts_and_texts_are_read(client):
    body = {
        "hypernetwork": "machines",
        "condition": {"context": [0.1, 0.5, 0.9]},
        "x": [[1.0, 2.0]],
    }
    answer = client.post("/v1/predict", json=body).json()
    assert "labels" not in answer
    assert answer["predicted"] == answer["outputs"]
    body = {
        "hypernetwork": "texts",
        "condition": {"description": "more than two"},
        "x": [[1.0, 2.0]],
    }
    assert client.post("/v1/predict", json=body).status_code == 200


def test_a_network_is_of_the_architecture_that_was_asked_for(client):
    body = {
        "hypernetwork": "sizes",
        "condition": {**condition(4), "architecture": {"hidden": [9, 5]}},
    }
    record = client.post("/v1/networks", json=body).json()
    assert record["parameters"] == 4 * 9 + 9 + 9 * 5 + 5 + 5 * 3 + 3
    answer = client.post(f"/v1/networks/{record['id']}/predict", json={"x": rows().tolist()})
    assert answer.status_code == 200


def test_pictures_are_read_as_the_command_line_reads_them(client, tmp_path):
    rng = np.random.default_rng(0)
    files = []
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(2):
            image = Image.fromarray(rng.integers(0, 256, (13, 11), dtype=np.uint8))
            image.save(tmp_path / name / f"{i}.png")
            files.append(
                (name, (f"{i}.png", (tmp_path / name / f"{i}.png").read_bytes(), "image/png"))
            )
    created = client.post("/v1/networks", data={"hypernetwork": "pictures"}, files=files)
    assert created.status_code == 201, created.text
    assert created.json()["labels"] == ["cat", "dog"]

    support, _ = read_support(tmp_path, image_size=8, channels=1)
    network = served("pictures")["pictures"].hypernetwork.generate(Condition(examples=support))
    x = torch.rand(2, 1, 8, 8)
    path = f"/v1/networks/{created.json()['id']}/predict"
    outputs = torch.tensor(client.post(path, json={"x": x.tolist()}).json()["outputs"])
    torch.testing.assert_close(outputs, network(x).detach(), atol=1e-5, rtol=1e-5)


def test_conditions_and_rows_may_be_binary(client):
    examples = condition(6)["examples"]
    tensors = {"examples.x": torch.tensor(examples["x"]), "examples.y": torch.tensor(examples["y"])}
    created = client.post(
        "/v1/networks?hypernetwork=letters", content=save(tensors),
        headers={"Content-Type": "application/vnd.safetensors"},
    )  # fmt: skip
    assert created.status_code == 201, created.text
    x = rows()
    answer = client.post(
        f"/v1/networks/{created.json()['id']}/predict", content=array_bytes(x.numpy()),
        headers={"Content-Type": "application/x-npy", "Accept": "application/x-npy"},
    )  # fmt: skip
    assert answer.headers["content-type"] == "application/x-npy"
    outputs = torch.from_numpy(np.load(io.BytesIO(answer.content)))
    torch.testing.assert_close(outputs, expected("letters", condition(6), x), atol=1e-5, rtol=1e-5)


def test_networks_are_listed_page_by_page(tmp_path):
    with TestClient(make_app(tmp_path, "letters"), base_url="http://localhost") as client:
        ids = [client.post("/v1/networks", json=asks(i)).json()["id"] for i in range(5)]
        found, after = [], 0
        while after is not None:
            page = client.get(f"/v1/networks?limit=2&after={after}").json()
            found += [network["id"] for network in page["networks"]]
            after = page["next"]
        assert found == ids


def test_a_deleted_network_is_gone(client):
    network_id = client.post("/v1/networks", json=asks(7)).json()["id"]
    path = f"/v1/networks/{network_id}"
    assert client.post(f"{path}/predict", json={"x": rows().tolist()}).status_code == 200
    assert client.delete(path).status_code == 204
    assert client.delete(path).status_code == 404
    assert client.get(path).status_code == 404
    assert client.post(f"{path}/predict", json={"x": rows().tolist()}).status_code == 404


def test_networks_are_files_to_take_away(client):
    network_id = client.post("/v1/networks", json=asks(8)).json()["id"]
    x = rows()
    truth = expected("letters", condition(8), x)
    path = f"/v1/networks/{network_id}/export"

    onnx = client.get(path)
    assert onnx.headers["content-disposition"] == f'attachment; filename="{network_id}.onnx"'
    session = onnxruntime.InferenceSession(onnx.content, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": x.numpy()})[0], truth, atol=1e-5)
    tensors = load(client.get(f"{path}?format=safetensors").content)
    assert sum(tensor.numel() for tensor in tensors.values()) == 115
    assert "netwright_outputs" in client.get(f"{path}?format=c").text
    with zipfile.ZipFile(io.BytesIO(client.get(f"{path}?format=numpy").content)) as archive:
        assert sorted(name.rpartition(".")[2] for name in archive.namelist()) == ["npz", "py"]
    exported = client.get(f"{path}?format=torch-export").content
    again = torch.export.load(io.BytesIO(exported)).module()(x)
    torch.testing.assert_close(again.detach(), truth, atol=1e-5, rtol=1e-5)
    assert client.get(f"{path}?format=pickle").status_code == 422


def test_a_request_that_is_sent_again_makes_one_network(client):
    headers = {"Idempotency-Key": "order-1"}
    first = client.post("/v1/networks", json=asks(9), headers=headers)
    second = client.post("/v1/networks", json=asks(9), headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    other = client.post("/v1/networks", json=asks(10), headers=headers)
    assert other.status_code == 409
    assert other.json()["error"]["code"] == "idempotency"


def test_a_server_that_is_started_again_has_its_networks(tmp_path):
    x = rows().tolist()
    with TestClient(make_app(tmp_path, "letters"), base_url="http://localhost") as client:
        record = client.post("/v1/networks", json={**asks(1), "labels": ["a", "b", "c"]}).json()
        path = f"/v1/networks/{record['id']}"
        answer = client.post(f"{path}/predict", json={"x": x}).json()
    # Another hypernetwork is served now: what was written stays what it was.
    with TestClient(make_app(tmp_path, "machines"), base_url="http://localhost") as client:
        assert client.get(path).json() == record
        again = client.post(f"{path}/predict", json={"x": x}).json()
    np.testing.assert_allclose(again["outputs"], answer["outputs"], atol=1e-5)
    assert again["predicted"] == answer["predicted"]
    assert again["labels"] == ["a", "b", "c"]


SECRET = "s3cr3t-of-a-stranger"
BAD_CONDITIONS = {
    "nothing": {},
    "unknown": {SECRET: 1},
    "no list": [SECRET],
    "other kind": {"description": SECRET},
    "no y": {"examples": {"x": [[0.0] * 4]}},
    "more": {"examples": {"x": [[0.0] * 4], "y": [0], SECRET: 1}},
    "ragged": {"examples": {"x": [[0.0] * 4, [0.0]], "y": [0, 1]}},
    "texts": {"examples": {"x": [[SECRET] * 4] * 2, "y": [0, 1]}},
    "width": {"examples": {"x": [[0.0] * 5] * 2, "y": [0, 1]}},
    "flat": {"examples": {"x": [0.0] * 4, "y": [0, 1]}},
    "huge": {"examples": {"x": [[1e39] * 4] * 2, "y": [0, 1]}},
    "bools": {"examples": {"x": [[True] * 4] * 2, "y": [0, 1]}},
    "one class": {"examples": {"x": [[0.0] * 4] * 2, "y": [0, 0]}},
    "real classes": {"examples": {"x": [[0.0] * 4] * 2, "y": [0.0, 1.0]}},
    "bool classes": {"examples": {"x": [[0.0] * 4] * 2, "y": [False, True]}},
    "mixed classes": {"examples": {"x": [[0.0] * 4] * 2, "y": [0, "a"]}},
    "huge classes": {"examples": {"x": [[0.0] * 4] * 2, "y": [0, 10**30]}},
    "control": {"examples": {"x": [[0.0] * 4] * 2, "y": ["a", "b\u0000"]}},
    "surrogate": {"examples": {"x": [[0.0] * 4] * 2, "y": ["a", "\ud800"]}},
    "fewer y": {"examples": {"x": [[0.0] * 4] * 2, "y": [0]}},
    "empty": {"examples": {"x": [], "y": []}},
    "null": {"examples": None},
}


@pytest.mark.parametrize("name", BAD_CONDITIONS)
def test_bad_conditions_are_refused_without_being_repeated(client, name):
    text = json.dumps({"hypernetwork": "letters", "condition": BAD_CONDITIONS[name]})
    answer = client.post("/v1/networks", content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["code"] == "invalid"
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    "architecture",
    [
        {}, [SECRET], {"family": SECRET}, {SECRET: 1}, {"hidden": [True]}, {"hidden": [0.5]}, {"hidden": ["9"]}, {"hidden": 7},
        {"inputs": 5}, {"outputs": 3, "classes": None}, {"activation": SECRET}, {"hidden": [-1]}, {"hidden": [[4]]},
        {"hidden": [4] * 300}, {"family": "conv", "channels": 4},
    ],
)  # fmt: skip
def test_bad_architectures_are_refused_without_being_repeated(client, architecture):
    body = {"hypernetwork": "sizes", "condition": {**condition(), "architecture": architecture}}
    answer = client.post("/v1/networks", json=body)
    assert answer.status_code == 422, answer.text
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    "architecture",
    [
        {"hidden": [30_000, 30_000]}, {"hidden": [2_000_000_000]},
        {"family": "transformer", "depth": 1_000_000_000, "inputs": 4, "steps": 1, "classes": 3},
    ],
)  # fmt: skip
def test_what_is_too_large_is_refused_by_arithmetic(client, architecture):
    body = {"hypernetwork": "sizes", "condition": {**condition(), "architecture": architecture}}
    answer = client.post("/v1/networks", json=body)
    assert answer.status_code == 413, answer.text


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/networks", {"hypernetwork": SECRET, "condition": {}}, 404),
        ("/v1/networks", {"hypernetwork": ["letters"], "condition": {}}, 404),
        ("/v1/networks", {"condition": {}}, 404),
        ("/v1/networks", {**asks(), SECRET: 1}, 422),
        ("/v1/networks", {**asks(), "labels": ["a", "b"]}, 422),
        ("/v1/networks", {**asks(), "labels": ["a", "a", "b"]}, 422),
        ("/v1/networks", {**asks(), "labels": SECRET}, 422),
        ("/v1/networks", {"hypernetwork": "machines", "condition": {"context": [0.1]}}, 422),
        ("/v1/networks", {"hypernetwork": "machines", "condition": {"context": [0.1] * 3}, "labels": ["a", "b"]}, 422),
        ("/v1/networks", {"hypernetwork": "texts", "condition": {"description": "!" * 20_000}}, 422),
        ("/v1/networks", {"hypernetwork": "texts", "condition": {"description": SECRET + " x" * 2_000}}, 422),
        ("/v1/predict", {**asks(), "x": [[0.0] * 5]}, 422),
        ("/v1/predict", {**asks()}, 422),
        ("/v1/networks/nope/predict", {"x": [[0.0] * 4]}, 404),
        ("/v1/networks/%2e%2e%2fetc/predict", {"x": [[0.0] * 4]}, 404),
    ],
)  # fmt: skip
def test_other_mistakes_are_refused_without_being_repeated(client, path, body, status):
    answer = client.post(path, json=body)
    assert answer.status_code == status, answer.text
    assert SECRET not in answer.text


def test_rows_of_another_shape_or_too_many_are_refused(client):
    path = f"/v1/networks/{client.post('/v1/networks', json=asks()).json()['id']}/predict"
    for x in ([[0.0] * 3], [0.0] * 4, [[[0.0] * 4]], [], "x", None):
        assert client.post(path, json={"x": x}).status_code == 422
    assert client.post(path, json={"x": [[0.0] * 4], "y": 1}).status_code == 422
    assert client.post(path, json={"x": [[0.0] * 4] * 10_001}).status_code == 413
    extreme = [[3.4e38 * (-1) ** (i >> b) for b in range(4)] for i in range(16)]
    assert client.post(path, json={"x": extreme}).status_code == 422


def test_nan_is_refused_and_not_a_failure(client):
    text = json.dumps({**asks(), "x": [[float("nan")] * 4]})
    answer = client.post("/v1/predict", content=text, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed")


def test_content_types_are_what_they_say(client):
    text = json.dumps(asks())
    for media_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "json",
        "application/x-npy",
    ):
        answer = client.post("/v1/networks", content=text, headers={"Content-Type": media_type})
        assert answer.status_code == 415
    for media_type in ("multipart/form-data", "multipart/form-data; boundary=x"):
        answer = client.post("/v1/networks", content=text, headers={"Content-Type": media_type})
        assert answer.status_code == 400
    answer = client.post(
        "/v1/networks?hypernetwork=letters", content=text, headers={"Content-Type": "application/vnd.safetensors"}
    )  # fmt: skip
    assert answer.status_code == 400


def test_pictures_that_are_none_or_too_large_are_refused(client):
    def post(data: bytes):
        files = [("a", ("a.png", data)), ("b", ("b.png", data))]
        return client.post("/v1/networks", data={"hypernetwork": "pictures"}, files=files)

    assert post(b"no picture").status_code == 400
    whole = io.BytesIO()
    Image.new("L", (8, 8)).save(whole, "PNG")
    assert post(whole.getvalue()).status_code == 201
    assert post(whole.getvalue()[:45]).status_code == 400
    # A megabyte of zeros becomes four hundred of pixels.
    bomb = io.BytesIO()
    Image.new("L", (20_000, 20_000)).save(bomb, "PNG")
    assert post(bomb.getvalue()).status_code == 413
    gif = io.BytesIO()
    Image.new("L", (8, 8)).save(gif, "GIF")
    assert post(gif.getvalue()).status_code == 400


def test_deadlines_are_kept(client):
    headers = {"Deadline-Ms": "1"}
    answer = client.post("/v1/networks", json=asks(shots=500), headers=headers)
    assert answer.status_code == 504
    for bad in ("0", "-1", "soon", "1.5", "9" * 20):
        assert (
            client.post("/v1/networks", json=asks(), headers={"Deadline-Ms": bad}).status_code
            == 422
        )


def test_queries_are_strict(client):
    for query in (
        "limit=0",
        "limit=x",
        "limit=1&limit=2",
        "after=-1",
        "more=1",
        "limit",
        "limit=1001",
    ):
        assert client.get(f"/v1/networks?{query}").status_code in (400, 422)


def test_health_readiness_and_counters(client):
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}
    text = client.get("/metrics").text
    assert 'netwright_requests_total{route="/v1/networks",status="201"}' in text
    assert "netwright_queue_write 0.0" in text
    assert "netwright_bank_networks" in text


def test_unknown_pages_and_methods_are_told_in_one_form(client):
    for method, path, status in (
        ("GET", "/nothing", 404), ("PUT", "/v1/networks", 405), ("GET", "/v1/predict", 405), ("GET", "/docs", 404)
    ):  # fmt: skip
        answer = client.request(method, path)
        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"code", "message"}
    assert client.put("/v1/networks/a").headers["allow"] == "DELETE, GET"


def test_headers_without_a_value_are_refused(client):
    for name in ("Idempotency-Key", "Deadline-Ms", "Content-Type"):
        assert client.post("/v1/networks", json=asks(), headers={name: ""}).status_code == 400
