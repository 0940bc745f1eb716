"""Commands about files that hold networks: what is kept, checked, signed and given away.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from typing import Annotated

import typer

from netwright.cli.root import Json, app

networks = typer.Typer(
    name="networks",
    help="The registry of written networks: what is kept, of whom, and whether it is whole.",
    no_args_is_help=True,
)
app.add_typer(networks)

Url = Annotated[
    str,
    typer.Option(
        "--registry",
        envvar="NETWRIGHT_REGISTRY",
        help="sqlite:///FILE or postgresql://USER@HOST/NAME.",
    ),
]
Artifacts = Annotated[
    str, typer.Option(envvar="NETWRIGHT_ARTIFACTS", help="Folder or fsspec URL of the artefacts.")
]
Owner = Annotated[str | None, typer.Option(help="Whose networks; by default everybody's.")]
ItsOwner = Annotated[str, typer.Option(help="Whose it is.")]
NetworkId = Annotated[str, typer.Argument(metavar="ID", help="Of the network.")]
URL, ARTIFACTS = "sqlite:///networks/registry.db", "networks/artifacts"


@networks.command("list")
def list_(
    registry: Url = URL,
    artifacts: Artifacts = ARTIFACTS,
    owner: Owner = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    after: Annotated[int, typer.Option(help="Go on after this number.")] = 0,
    as_json: Json = False,
) -> None:
    """The networks of a registry, oldest first."""
    from netwright.cli.networks import run_list

    run_list(registry, artifacts, owner=owner, limit=limit, after=after, as_json=as_json)


@networks.command()
def show(
    network_id: NetworkId,
    registry: Url = URL,
    artifacts: Artifacts = ARTIFACTS,
    owner: ItsOwner = "",
    out: Annotated[
        str | None, typer.Option(help="Folder to make of it, which `netwright predict` reads.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What is known of a network; with --out its files."""
    from netwright.cli.networks import run_show

    run_show(network_id, registry, artifacts, owner=owner, out=out, as_json=as_json)


@networks.command("verify")
def verify_networks(
    network_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Of the network; by default all.")
    ] = None,
    registry: Url = URL,
    artifacts: Artifacts = ARTIFACTS,
    owner: Owner = None,
    as_json: Json = False,
) -> None:
    """Read every byte, check it, build the networks; exit code 1 if one is damaged."""
    from netwright.cli.networks import run_verify

    run_verify(network_id, registry, artifacts, owner=owner, as_json=as_json)


@networks.command()
def remove(
    network_id: NetworkId,
    registry: Url = URL,
    artifacts: Artifacts = ARTIFACTS,
    owner: ItsOwner = "",
    as_json: Json = False,
) -> None:
    """Forget a network, and remove its bytes."""
    from netwright.cli.networks import run_remove

    run_remove(network_id, registry, artifacts, owner=owner, as_json=as_json)


__all__ = ["app"]
