"""Commands about files that hold networks: what is kept, checked, signed and given away.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.root import Json, RunFolder, Weights, app

networks = typer.Typer(
    name="networks",
    help="The registry of written networks: what is kept, of whom, and whether it is whole.",
    no_args_is_help=True,
)
app.add_typer(networks)


@app.command()
def save(
    run: RunFolder,
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    weights: Weights = "best",
    as_json: Json = False,
) -> None:
    """Make one folder of a run's hypernetwork: to load, to sign, to publish, with a card of what it can do."""
    from netwright.cli.save import run_save

    run_save(run, out, weights=weights, as_json=as_json)


@app.command()
def sign(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A network, a hypernetwork, a bank ...")
    ],
    key: Annotated[Path, typer.Option(help="Your private key, Ed25519 in PEM.")],
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Make the key, and its public half.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Sign a folder with a key of yours: whoever has the public half can tell that it is yours, and unchanged."""
    from netwright.cli.sign import run_sign

    run_sign(folder, key, make=new_key, as_json=as_json)


@app.command()
def verify(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Anything that was saved, or a run.")
    ],
    key: Annotated[Path | None, typer.Option(help="Public key that it must be signed by.")] = None,
    as_json: Json = False,
) -> None:
    """Read every byte of a folder and check it against its manifest; with --key, who signed it."""
    from netwright.cli.sign import run_verify

    run_verify(folder, key, as_json=as_json)


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
