"""Commands of the server, one function each.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.files import ARTIFACTS, URL, Artifacts, Url
from netwright.cli.root import app

token_app = typer.Typer(name="token", help="Tokens: who may use a server.", no_args_is_help=True)
app.add_typer(token_app)


@app.command()
def serve(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN...",
            help="Run folders, served by their names; comparisons are shown. None: a hypernetwork for drawings.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="To bind; anything but this machine needs --token-file.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="To bind; 0: any that is free.")
    ] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(help="Of `netwright token new`; without it only this machine is served."),
    ] = None,
    registry: Url = URL,
    artifacts: Artifacts = ARTIFACTS,
    bank_bytes: Annotated[
        str, typer.Option(help="Of networks in memory, such as 500MB or 2GB.")
    ] = "2GB",
    max_batch: Annotated[
        int, typer.Option(min=1, help="Requests that are worked on at once.")
    ] = 64,
    max_delay_ms: Annotated[
        float, typer.Option(min=0, help="How long the first of a batch waits for others.")
    ] = 2.0,
    max_queue: Annotated[int, typer.Option(min=1, help="Requests that wait; beyond, 429.")] = 1024,
    max_body: Annotated[str, typer.Option(help="Of one request, such as 16MB.")] = "16MB",
    max_parameters: Annotated[
        int, typer.Option(min=1, help="Of a network that is asked for.")
    ] = 2_000_000,
    max_connections: Annotated[int, typer.Option(min=1, help="Open at once.")] = 1000,
    request_seconds: Annotated[
        float, typer.Option(min=0.001, help="In which a request is answered, or 504.")
    ] = 30.0,
    drain_seconds: Annotated[
        float, typer.Option(min=1, help="For what is under way when the server is told to stop.")
    ] = 20.0,
    threads: Annotated[int, typer.Option(help="CPU threads of torch.")] = 1,
) -> None:
    """Serve hypernetworks over HTTP, and a page to try them in: `netwright serve runs/letters-1`."""
    from netwright.cli.serve import run_serve

    run_serve(
        tuple(runs or ()), host=host, port=port, token_file=token_file, registry=registry, artifacts=artifacts,
        bank_bytes=bank_bytes, max_body=max_body, threads=threads,
        limits={
            "max_batch": max_batch, "max_delay_s": max_delay_ms / 1000, "max_queue": max_queue,
            "parameters": max_parameters, "connections": max_connections, "request_s": request_seconds,
            "drain_s": drain_seconds,
        },
    )  # fmt: skip


@token_app.command("new")
def token_new(
    file: Annotated[Path, typer.Option(help="Where its digest is noted; made if it is not there.")],
    name: Annotated[
        str, typer.Option(help="Whose it is; tokens of one name see the same networks.")
    ],
    requests_per_minute: Annotated[int | None, typer.Option(help="At most.")] = None,
    bytes_per_day: Annotated[int | None, typer.Option(help="Of bodies, at most.")] = None,
    parameters_per_day: Annotated[
        int | None, typer.Option(help="Of networks that are written, at most.")
    ] = None,
) -> None:
    """Make a token and print it, the one time that it can be read."""
    from netwright.serving.tokens import new_token

    print(
        new_token(
            file, name, requests_per_minute=requests_per_minute, bytes_per_day=bytes_per_day,
            parameters_per_day=parameters_per_day,
        )
    )  # fmt: skip


__all__ = ["app"]
