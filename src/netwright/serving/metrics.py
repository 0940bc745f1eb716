"""What a server tells Prometheus; names of tenants and networks are not in it."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of one server, in a registry of their own: a process may hold several servers."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "netwright_requests", "Requests by route and status.", ["route", "status"], registry=registry
        )  # fmt: skip
        self._seconds = Histogram(
            "netwright_request_seconds", "From the head to the answer.", ["route"], buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.networks = Counter(
            "netwright_networks_written", "Networks written.", registry=registry
        )
        self.parameters = Counter(
            "netwright_parameters_written", "Their parameters.", registry=registry
        )
        self.rows = Counter("netwright_rows_predicted", "Rows predicted for.", registry=registry)
        self._routes: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A gauge that is read when it is asked for."""
        Gauge(f"netwright_{name}", text, registry=self.registry).set_function(value)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is one of the server's own, never what was sent."""
        found = self._routes.get((route, status))
        if found is None:
            # Looking up labels costs more than counting.
            found = (self._requests.labels(route, str(status)), self._seconds.labels(route))
            self._routes[route, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def text(self) -> bytes:
        """As Prometheus reads it."""
        return bytes(generate_latest(self.registry))
