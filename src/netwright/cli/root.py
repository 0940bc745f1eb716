"""The command line itself, and options that several commands have.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="netwright",
    help="One network that writes networks: train a hypernetwork once, then write a small network "
    "for a task it has never seen, in one forward pass.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder with the data sets (else $NETWRIGHT_DATA, else download)."),
]
Device = Annotated[str, typer.Option(help="cpu, cuda or auto.")]
Weights = Annotated[str, typer.Option(help="best by validation, or last.")]
Shifts = Annotated[
    int | None,
    typer.Option(help="Read each support picture with copies shifted by so many pixels."),
]
Seeds = Annotated[int, typer.Option(help="How many; one allows no claim.")]
Budget = Annotated[
    str,
    typer.Option(help="steps=5000, cpu=30m (s, m or h), or patience=5, perhaps ,most_steps=20000."),
]
ComparisonFolder = Annotated[
    Path | None, typer.Option(help="Where results go; by default below runs/.")
]
Resume = Annotated[Path | None, typer.Option(help="Go on with this folder.")]
Ways = Annotated[int | None, typer.Option(help="Classes per task (pictures).")]
Shots = Annotated[int | None, typer.Option(help="Support examples per class, or per task.")]
Queries = Annotated[int | None, typer.Option(help="Query examples per class, or per task.")]
Task = Annotated[str | None, typer.Option(help="Column that names the task (tables).")]
Target = Annotated[str | None, typer.Option(help="Column to predict (tables).")]
Channels = Annotated[
    int | None, typer.Option(help="Channels of a child for pictures; by default 8.")
]
Hidden = Annotated[
    str | None, typer.Option(help="Hidden widths of a child for vectors; by default 40,40.")
]
TestEpisodes = Annotated[int, typer.Option(help="Test tasks, the same for all.")]
ValidationEpisodes = Annotated[int, typer.Option(help="Validation tasks, for every choice.")]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder, or what `netwright save` made of one.")
]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Options before the command."""
    if version:
        from netwright import __version__

        typer.echo(f"netwright {__version__}")
        raise typer.Exit
