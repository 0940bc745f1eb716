"""Who may ask: tokens, of which a file keeps salted digests only.

A token holds 256 random bits, so that nobody can try them out; a plain SHA-256 is as good at rest as a slow hash, which
is for what people think up, and would cost every request. The salt keeps digests of different files apart.
"""

import hashlib
import hmac
import json
import re
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from netwright.artifacts import write_file
from netwright.errors import DataError

FORMAT = 1
_TOKEN = re.compile(r"nw_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LOOKS_EVERY_S = 1.0


@dataclass(frozen=True)
class Token:
    """What a file keeps of a token.

    Args:
        token_id: Its first part, which is no secret.
        name: Whose it is. Two tokens of one name see the same networks, so that one can replace the other.
        salt: Hexadecimal.
        sha256: Of salt and secret.
        created: Seconds since 1970, UTC.
        requests_per_minute: At most; None for no bound, as for the others.
        bytes_per_day: Of bodies that are sent.
        parameters_per_day: Of networks that are written.
    """

    token_id: str
    name: str
    salt: str
    sha256: str
    created: float
    requests_per_minute: int | None = None
    bytes_per_day: int | None = None
    parameters_per_day: int | None = None


# For a caller that needs none: on the loopback interface without a token file.
NOBODY = Token("", "", "", "", 0.0)
# Compared with where there is no such token, so that answering takes as long.
_STRANGER = Token("", "", "00" * 16, "00" * 32, 0.0)


def new_token(
    path: Path,
    name: str,
    *,
    requests_per_minute: int | None = None,
    bytes_per_day: int | None = None,
    parameters_per_day: int | None = None,
) -> str:
    """Make a token, note its digest in a file, and return it: the one time that it can be read.

    Args:
        path: The file, made if it is not there, readable by its owner alone.
        name: Whose it is.
        requests_per_minute: At most.
        bytes_per_day: At most.
        parameters_per_day: At most.

    Raises:
        DataError: If the file cannot be read, or the name or a number is not possible.
    """
    if not _NAME.fullmatch(name):
        raise DataError(
            "The name of a token is up to 64 letters, digits, dots, dashes and underscores, expected such."
        )
    quotas = {
        "requests_per_minute": requests_per_minute,
        "bytes_per_day": bytes_per_day,
        "parameters_per_day": parameters_per_day,
    }
    if any(value is not None and value < 1 for value in quotas.values()):
        raise DataError("A quota is below 1, expected at least 1. Leave it out for no bound.")
    tokens = read_tokens(path) if path.exists() else {}
    token_id, salt, secret = secrets.token_hex(8), secrets.token_hex(16), secrets.token_urlsafe(32)
    made = Token(token_id, name, salt, _digest(salt, secret), time.time(), **quotas)
    records = [asdict(token) for token in (*tokens.values(), made)]
    text = json.dumps({"format": FORMAT, "tokens": records}, indent=2) + "\n"
    write_file(path, text.encode())
    path.chmod(0o600)
    return f"nw_{token_id}_{secret}"


def read_tokens(path: Path) -> dict[str, Token]:
    """The tokens of a file by their ids.

    Raises:
        DataError: If it is none that `new_token` wrote.
    """
    expected = "expected a file that `netwright token new` made"
    try:
        record = json.loads(path.read_bytes())
        tokens = [Token(**each) for each in record["tokens"]]
        is_known = record["format"] == FORMAT
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise DataError(f"{path}: {reason}, {expected}.") from None
    except (ValueError, TypeError, KeyError):
        raise DataError(f"{path} is no file of tokens, {expected}.") from None
    if not is_known or not all(_is_whole(token) for token in tokens):
        raise DataError(f"{path} holds a token that is not whole, {expected}.")
    return {token.token_id: token for token in tokens}


class TokenFile:
    """The tokens that are good now; a file that changes is read again within a second.

    A file that is gone lets nobody in; one that is damaged changes nothing until it is mended.

    Args:
        path: The file.

    Raises:
        DataError: If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tokens = read_tokens(path)
        self._seen = self._stamp()
        self._looked = time.monotonic()

    def find(self, presented: str) -> Token | None:
        """The token that was presented, if it is one; takes as long whether it is or not."""
        if time.monotonic() - self._looked > _LOOKS_EVERY_S:
            self._look()
        match = _TOKEN.fullmatch(presented)
        token_id, secret = match.groups() if match else ("", "")
        token = self._tokens.get(token_id)
        known = token or _STRANGER
        is_same = hmac.compare_digest(_digest(known.salt, secret), known.sha256)
        return token if is_same and token is not None else None

    def _look(self) -> None:
        self._looked = time.monotonic()
        stamp = self._stamp()
        if stamp == self._seen:
            return
        if stamp is None:
            self._tokens, self._seen = {}, None
            return
        try:
            self._tokens, self._seen = read_tokens(self.path), stamp
        except DataError:
            return

    def _stamp(self) -> tuple[Any, ...] | None:
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _digest(salt: str, secret: str) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + secret.encode()).hexdigest()


def _is_whole(token: Token) -> bool:
    quotas = (token.requests_per_minute, token.bytes_per_day, token.parameters_per_day)
    return (
        isinstance(token.name, str)
        and _NAME.fullmatch(token.name) is not None
        and re.fullmatch(r"[0-9a-f]{16}", str(token.token_id)) is not None
        and re.fullmatch(r"[0-9a-f]{32}", str(token.salt)) is not None
        and re.fullmatch(r"[0-9a-f]{64}", str(token.sha256)) is not None
        and all(q is None or (isinstance(q, int) and q > 0) for q in quotas)
    )
