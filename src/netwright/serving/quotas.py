"""How much of what a token allows has been used.

Counted in this process: a server that is started again, and each of several servers, counts from nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from netwright.serving.problems import RequestError
from netwright.serving.tokens import Token

_DAY_S = 86_400
_MINUTE_S = 60


@dataclass
class _Used:
    requests: float = 0.0
    at: float = 0.0
    day: int = -1
    bytes: int = 0
    parameters: int = 0


class Quotas:
    """Requests per minute, bytes and parameters per day (UTC) of each token.

    Args:
        clock: Seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._used: dict[str, _Used] = {}

    def request(self, token: Token) -> None:
        """Count a request; those of a minute may come at once, later ones at the rate.

        Raises:
            RequestError: 429 if there were too many.
        """
        if token.requests_per_minute is None:
            return
        used, now = self._of(token), self._clock()
        rate = token.requests_per_minute / _MINUTE_S
        used.requests = max(0.0, used.requests - (now - used.at) * rate)
        used.at = now
        if used.requests + 1 > token.requests_per_minute:
            raise _exceeded("requests per minute", (used.requests + 1) / rate - _MINUTE_S)
        used.requests += 1

    def bytes(self, token: Token, count: int) -> None:
        """Count bytes that were sent.

        Raises:
            RequestError: 429 if there were too many.
        """
        used = self._of(token)
        if token.bytes_per_day is not None and used.bytes + count > token.bytes_per_day:
            raise _exceeded("bytes per day", self._until_tomorrow())
        used.bytes += count

    def parameters(self, token: Token, count: int) -> None:
        """Count parameters that are to be written.

        Raises:
            RequestError: 429 if there were too many.
        """
        used = self._of(token)
        if (
            token.parameters_per_day is not None
            and used.parameters + count > token.parameters_per_day
        ):
            raise _exceeded("parameters per day", self._until_tomorrow())
        used.parameters += count

    def give_back(self, token: Token, count: int) -> None:
        """Parameters that were counted and not written after all."""
        used = self._of(token)
        used.parameters = max(0, used.parameters - count)

    def _of(self, token: Token) -> _Used:
        used = self._used.setdefault(token.token_id, _Used())
        day = int(self._clock() // _DAY_S)
        if used.day != day:
            used.day, used.bytes, used.parameters = day, 0, 0
        return used

    def _until_tomorrow(self) -> float:
        return _DAY_S - self._clock() % _DAY_S


def _exceeded(what: str, seconds: float) -> RequestError:
    return RequestError(
        429,
        "quota",
        f"The quota of this token is used up: {what}.",
        {"Retry-After": str(max(1, round(seconds + 0.5)))},
    )
