"""Requests that the description of a server shows, made for the hypernetwork that it serves."""

from typing import Any

from netwright.serving.service import Service


def example_condition(service: Service) -> dict[str, Any]:
    """A condition that the first hypernetwork of a service could be sent."""
    served = next(iter(service.served.values()), None)
    if served is None or "examples" in served.accepts:
        x = zeros(service, "examples")
        is_values = served is not None and served.kind == "values"
        outputs = served.reader.outputs if served is not None and served.reader is not None else 1
        y: list[Any] = [[0.0] * (outputs or 1), [1.0] * (outputs or 1)] if is_values else [0, 1]
        return {"examples": {"x": [x, x], "y": y}}
    if "description" in served.accepts:
        return {"description": "what the network should do"}
    size = served.context_size if served.accepts[0] == "context" else None
    return {served.accepts[0]: [0.0] * (size or 1)}


def zeros(service: Service, of: str) -> Any:
    """One input of its networks, or one example of its conditions (`of` is `input` or `examples`)."""
    served = next(iter(service.served.values()), None)
    if served is None:
        return [0.0, 0.0]
    shape: tuple[int | None, ...] = served.architecture.input_shape
    if of == "examples" and served.reader is not None:
        shape = served.reader.x
    value: Any = 0.0
    for size in reversed(shape):
        value = [value] * (size or 1)
    return value
