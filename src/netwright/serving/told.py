"""What the description says of the page's routes: answers and refusals."""

from typing import Any

_TEXT = {"type": "string"}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": _TEXT, "message": _TEXT},
        }
    },
}
_CODES = {
    400: "malformed", 401: "token", 403: "origin", 404: "not found", 413: "too large", 415: "media type",
    422: "invalid", 429: "busy", 501: "not installed",
}  # fmt: skip
# Whatever is asked for.
_ALWAYS = (401, 403, 429)


def answers(
    status: int, about: str, *refusals: int, media_type: str = "application/json"
) -> dict[int | str, dict[str, Any]]:
    """What a route may answer, as FastAPI's `responses`.

    Args:
        status: Of success.
        about: What is answered then.
        refusals: Statuses of errors, beside those of every route.
        media_type: Of success.
    """
    is_json = media_type == "application/json"
    schema: dict[str, Any] = {} if is_json else {"type": "string", "format": "binary"}
    found: dict[int | str, dict[str, Any]] = {
        status: {"description": about, "content": {media_type: {"schema": schema}}}
    }
    for refusal in sorted({*refusals, *_ALWAYS}):
        content = {"application/json": {"schema": _ERROR}}
        found[refusal] = {"description": _CODES[refusal], "content": content}
    return found


__all__ = ["answers"]
