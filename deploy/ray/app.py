"""The server's application under Ray Serve: replicas on many machines, one registry behind them.

    NETWRIGHT_RUNS=/runs/letters-1 NETWRIGHT_TOKENS=/secrets/tokens.json \
    NETWRIGHT_REGISTRY=postgresql://... NETWRIGHT_ARTIFACTS=s3://bucket/networks \
    serve run deploy.ray.app:app

Ray's proxy stands where uvicorn does in `netwright serve`: bounds for slow clients are the proxy's. Replicas have a bank, a queue and quotas
of their own; what they share is the registry.
"""

import os
from pathlib import Path
from typing import Any

from ray import serve

from netwright.serving import ServerLimits, application


def build() -> Any:
    """The ASGI application, made in each replica from its environment.

    Raises:
        KeyError: If `NETWRIGHT_RUNS`, `NETWRIGHT_TOKENS`, `NETWRIGHT_REGISTRY` or `NETWRIGHT_ARTIFACTS` is not set.
    """
    runs = [Path(run) for run in os.environ["NETWRIGHT_RUNS"].split(os.pathsep)]
    asgi, _ = application(
        runs,
        registry=os.environ["NETWRIGHT_REGISTRY"],
        artifacts=os.environ["NETWRIGHT_ARTIFACTS"],
        token_file=Path(os.environ["NETWRIGHT_TOKENS"]),
        limits=ServerLimits(bank_bytes=int(os.environ.get("NETWRIGHT_BANK_BYTES", 1_000_000_000))),
    )
    return asgi


@serve.deployment(
    ray_actor_options={"num_cpus": 2},
    max_ongoing_requests=512,
    graceful_shutdown_timeout_s=40,
    autoscaling_config={"min_replicas": 1, "max_replicas": 20, "target_ongoing_requests": 64},
)
@serve.ingress(build)
class Netwright:
    """One replica."""


app = Netwright.bind()
