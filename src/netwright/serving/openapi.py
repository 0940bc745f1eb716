"""The description of the routes for other programs: what they take, what they answer, with examples."""

from typing import Any

from netwright.serving.examples import example_condition, zeros
from netwright.serving.exports import FORMATS
from netwright.serving.service import Service

DESCRIPTION = (
    "Hypernetworks that write small networks: send a condition, such as a few labelled examples, get a network; "
    "send rows, get what it says of them."
)
Schema = dict[str, Any]

_NUMBER: Schema = {"type": "number"}
_WHOLE: Schema = {"type": "integer", "minimum": 0}
_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_LABELS: Schema = {
    "type": ["array", "null"],
    "items": {"type": "string", "minLength": 1, "maxLength": 200},
    "uniqueItems": True,
    "description": "Names of the outputs; of classes in the order of their numbers.",
}
_ROWS: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "array", "minItems": 1},
    "description": "Nested lists of finite numbers, all of one shape: one entry per row or example.",
}
_ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "additionalProperties": False,
            "properties": {"code": _TEXT, "message": _TEXT},
        }
    },
}
_NETWORK_EXAMPLE = {
    "id": "3f2a9c0d17b84e65aa01c2d3",
    "hypernetwork": "letters",
    "kind": "exchangeable-classes",
    "parameters": 2029,
    "bytes": 13312,
    "milliseconds": 4.21,
    "labels": ["a", "b"],
    "input_shape": [1, 28, 28],
    "created": "2026-01-31T12:00:00.000Z",
}
_ERRORS = {
    400: ("malformed", "The body is not JSON, expected one object in UTF-8."),
    401: ("token", "A token of this server is needed: Authorization: Bearer ..."),
    403: ("origin", "Pages of other sites cannot use this server."),
    404: ("not_found", "There is no such network."),
    409: ("idempotency", "The idempotency key was used for another request."),
    413: ("too_large", "The network would have too many parameters, expected at most 2,000,000."),
    415: ("media_type", "The content type must be one of: application/json."),
    422: ("invalid", "`x` must be rows of shape [16]."),
    429: ("busy", "The server has too much to do. Try again later."),
    500: ("internal", "The server failed."),
    503: ("unavailable", "The store of networks cannot be reached. Try again later."),
    504: ("deadline", "The request was not answered within its deadline."),
}


def described(method: str, path: str, service: Service, *, has_tokens: bool) -> dict[str, Any]:
    """What FastAPI is to say of a route: arguments of `add_api_route`."""
    about = _ABOUT[method, path]
    extra: dict[str, Any] = {"parameters": [*about.get("parameters", [])]}
    if "{network_id}" in path:
        id_schema = {"type": "string", "pattern": "^[A-Za-z0-9]{1,64}$"}
        extra["parameters"].insert(
            0, {"name": "network_id", "in": "path", "required": True, "schema": id_schema}
        )
    if method == "POST":
        extra["parameters"].append(_DEADLINE)
        extra["requestBody"] = {"required": True, "content": _contents(path, service)}
    is_private = path.startswith("/v1") or path == "/metrics"
    if has_tokens and is_private:
        extra["security"] = [{"token": []}]
    responses: dict[int | str, dict[str, Any]] = {about["status"]: _answer(about)}
    for status in about["errors"]:
        code, message = _ERRORS[status]
        example = {"error": {"code": code, "message": message}}
        content = {"application/json": {"schema": _ERROR, "example": example}}
        responses[status] = {"description": code.replace("_", " "), "content": content}
    return {
        "summary": about["summary"],
        "status_code": about["status"],
        "responses": responses,
        "response_model": None,
        "openapi_extra": extra,
        "operation_id": about["name"],
    }


def with_tokens(description: Schema) -> Schema:
    """A description that says what a token is."""
    scheme = {"type": "http", "scheme": "bearer", "description": "Of `netwright token new`."}
    components = description.setdefault("components", {})
    components.setdefault("securitySchemes", {})["token"] = scheme
    return description


def _object_of(properties: dict[str, Schema], required: list[str]) -> Schema:
    return {
        "type": "object",
        "required": required,
        "additionalProperties": False,
        "properties": properties,
    }


_NETWORK = _object_of(
    {
        "id": _TEXT, "hypernetwork": _TEXT, "kind": _TEXT, "parameters": _WHOLE, "bytes": _WHOLE,
        "milliseconds": _NUMBER, "labels": _TEXTS, "input_shape": {"type": "array", "items": _WHOLE},
        "created": {"type": "string", "format": "date-time"},
    },
    list(_NETWORK_EXAMPLE),
)  # fmt: skip
_HYPERNETWORK = _object_of(
    {
        "name": _TEXT, "kind": _TEXT, "input_shape": {"type": "array", "items": _WHOLE}, "accepts": _TEXTS,
        "classes": {"type": ["object", "null"]}, "shots": {"type": ["integer", "null"]}, "labels": _TEXTS,
        "parameters": _WHOLE, "child": {"type": "object"}, "digest": _TEXT,
    },
    ["name", "kind", "input_shape", "accepts", "parameters", "digest"],
)  # fmt: skip
_OUTPUTS = _object_of(
    {
        "outputs": {"type": "array", "items": {"type": "array"}}, "labels": _TEXTS,
        "predicted": {"type": "array"}, "milliseconds": _NUMBER,
    },
    ["outputs", "predicted", "milliseconds"],
)  # fmt: skip
_CONDITION: Schema = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": False,
    "description": "Of the kinds that the hypernetwork accepts.",
    "properties": {
        "examples": _object_of(
            {
                "x": _ROWS,
                "y": {
                    "type": "array",
                    "minItems": 1,
                    "description": "Classes (whole numbers or texts), or values, one entry per example.",
                },
            },
            ["x", "y"],
        ),
        "description": {"type": "string", "minLength": 1},
        "architecture": {"type": "object", "minProperties": 1},
        **{
            name: {"type": "array", "minItems": 1, "items": _NUMBER}
            for name in ("context", "preference", "hyperparameters", "noise")
        },
    },
}
_DEADLINE = {
    "name": "Deadline-Ms",
    "in": "header",
    "required": False,
    "schema": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
    "description": "Milliseconds after which nobody waits for the answer.",
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
    "description": "Sent again with the same body, a request gets the network that it made before.",
}
_FILE: Schema = {"type": "string", "format": "binary"}
_OUTPUT_ANSWERS = {
    "application/json": {
        "schema": _OUTPUTS,
        "example": {
            "outputs": [[2.1, -0.3]], "labels": ["a", "b"], "predicted": ["a"], "milliseconds": 0.42,
        },
    },
    "application/x-npy": {"schema": _FILE},
}  # fmt: skip
_COMMON = [401, 403, 429, 500]
_WORK = [400, 413, 415, 422, 503, 504]
_ABOUT: dict[tuple[str, str], dict[str, Any]] = {
    ("GET", "/v1/hypernetworks"): {
        "name": "list_hypernetworks", "summary": "The hypernetworks that can write networks.", "status": 200,
        "content": {"application/json": {"schema": {"type": "array", "items": _HYPERNETWORK}}},
        "errors": _COMMON,
    },
    ("POST", "/v1/networks"): {
        "name": "create_network", "summary": "Write a network from a condition, and keep it.", "status": 201,
        "content": {"application/json": {"schema": _NETWORK, "example": _NETWORK_EXAMPLE}},
        "parameters": [_KEY], "errors": [*_COMMON, *_WORK, 404, 409],
    },
    ("GET", "/v1/networks"): {
        "name": "list_networks", "summary": "Your networks, oldest first.", "status": 200,
        "content": {"application/json": {"schema": _object_of(
            {"networks": {"type": "array", "items": _NETWORK}, "next": {"type": ["integer", "null"]}},
            ["networks", "next"],
        )}},
        "parameters": [
            {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000}},
            {"name": "after", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 2**62},
             "description": "`next` of the page before."},
        ],
        "errors": [*_COMMON, 400, 422, 503],
    },
    ("GET", "/v1/networks/{network_id}"): {
        "name": "get_network", "summary": "What is known of a network.", "status": 200,
        "content": {"application/json": {"schema": _NETWORK, "example": _NETWORK_EXAMPLE}},
        "errors": [*_COMMON, 404, 503],
    },
    ("DELETE", "/v1/networks/{network_id}"): {
        "name": "delete_network", "summary": "Forget a network.", "status": 204, "content": {},
        "errors": [*_COMMON, 404, 503],
    },
    ("GET", "/v1/networks/{network_id}/export"): {
        "name": "export_network", "summary": "A network as a file to take away.", "status": 200,
        "content": {f.media_type.partition(";")[0]: {"schema": _FILE} for f in FORMATS.values()},
        "parameters": [
            {"name": "format", "in": "query", "schema": {"type": "string", "enum": sorted(FORMATS)}}
        ],
        "errors": [*_COMMON, 400, 404, 422, 503, 504],
    },
    ("POST", "/v1/networks/{network_id}/predict"): {
        "name": "predict", "summary": "What a network says of rows.", "status": 200,
        "content": _OUTPUT_ANSWERS, "errors": [*_COMMON, *_WORK, 404],
    },
    ("POST", "/v1/predict"): {
        "name": "predict_once", "summary": "Write a network, run it on rows, keep nothing.", "status": 200,
        "content": _OUTPUT_ANSWERS, "errors": [*_COMMON, *_WORK, 404],
    },
    ("GET", "/healthz"): {
        "name": "healthz", "summary": "Whether the process is alive.", "status": 200, "errors": [403],
        "content": {"application/json": {"example": {"status": "alive"}}},
    },
    ("GET", "/readyz"): {
        "name": "readyz", "summary": "Whether networks can be written and kept now.", "status": 200,
        "content": {"application/json": {"example": {"status": "ready"}}}, "errors": [403, 503],
    },
    ("GET", "/metrics"): {
        "name": "metrics", "summary": "Counters for Prometheus.", "status": 200,
        "content": {"text/plain": {"schema": _TEXT}}, "errors": _COMMON,
    },
}  # fmt: skip


def _answer(about: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": about["summary"]}
    return answer | ({"content": about["content"]} if about["content"] else {})


def _contents(path: str, service: Service) -> dict[str, Any]:
    """What a request may send, with an example that the first hypernetwork could answer."""
    name = next(iter(service.served), "letters")
    condition = example_condition(service)
    asks: dict[str, Schema] = {"hypernetwork": _TEXT, "condition": _CONDITION, "labels": _LABELS}
    create = {"hypernetwork": name, "condition": condition}
    x = [zeros(service, "input")]
    if path == "/v1/predict":
        schema = _object_of({**asks, "x": _ROWS}, ["hypernetwork", "condition", "x"])
        return {"application/json": {"schema": schema, "example": {**create, "x": x}}}
    if path == "/v1/networks":
        schema = _object_of(asks, ["hypernetwork", "condition"])
        form = {
            "type": "object",
            "required": ["hypernetwork"],
            "properties": {"hypernetwork": _TEXT},
            "additionalProperties": {"type": "array", "items": _FILE},
        }
        return {
            "application/json": {"schema": schema, "example": create},
            "multipart/form-data": {"schema": form},
            "application/vnd.safetensors": {"schema": _FILE},
        }
    schema = _object_of({"x": _ROWS}, ["x"])
    return {
        "application/json": {"schema": schema, "example": {"x": x}},
        "application/x-npy": {"schema": _FILE},
    }
