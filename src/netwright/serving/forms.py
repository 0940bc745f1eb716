"""Forms with files: pictures in fields that are named after their classes."""

from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request

from netwright.serving.problems import invalid, malformed


async def form_of(
    scope: MutableMapping[str, Any], body: bytes, most: int
) -> tuple[Any, dict[str, list[bytes]]]:
    """The hypernetwork's name, and files by class.

    Args:
        scope: Of ASGI.
        body: The whole body.
        most: Files at most.

    Raises:
        RequestError: 400 if the form cannot be read, 422 if it has other fields.
    """
    sent = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal sent
        sent, was = True, sent
        return {"type": "http.request", "body": b"" if was else body, "more_body": False}

    request = Request(scope, receive)
    name: Any = None
    classes: dict[str, list[bytes]] = {}
    try:
        form = await request.form(max_files=most, max_fields=4)
    # Whatever the parser makes of boundaries and encodings that are none.
    except Exception:
        raise malformed("The form cannot be read, or has too many parts.") from None
    try:
        for key, value in form.multi_items():
            if isinstance(value, UploadFile):
                classes.setdefault(key, []).append(await value.read())
            elif key == "hypernetwork" and name is None:
                name = value
            else:
                raise invalid("The form must have the field `hypernetwork`, and files alone.")
    finally:
        await form.close()
    return name, classes
