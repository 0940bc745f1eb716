"""The drawing of the package: imports run downwards, and the front door stays light."""

import ast
import importlib
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import netwright

PACKAGE = Path(netwright.__file__).parent
FRONT_DOOR = "__init__"

# A room imports from its own line or from lines above. `artifacts` and `export` stand near the top
# though they are doors to the outside: they know files and modules, and nothing of hypernetworks.
DRAWING = [
    ["_version", "errors", "shapes", "rng", "process", "conditions", "runs", "splits"],
    ["artifacts", "export"],
    [
        "space",
        "execution",
        "emission",
        "factors",
        "layers",
        "module_copy",
        "graph",
        "graph_export",
        "child",
        "initialisation",
        "anchors",
        "architectures",
    ],
    [
        "attention",
        "conditioners",
        "generators",
        "class_head",
        "cards",
        "digests",
        "class_rows",
        "generated",
        "writer",
        "saved",
        "ensemble",
        "sampling",
        "hypernetwork",
        "bank",
        "lora",
        "registry",
        "dynamic",
        "static",
        "tabular",
    ],
    ["environments", "tasks", "objectives"],
    ["learners", "training", "evaluation", "referee"],
    ["search"],
    ["estimators", "apps"],
    ["serving", "client"],
    ["cli", "__main__", FRONT_DOOR],
]
LINE_OF = {room: number for number, rooms in enumerate(DRAWING) for room in rooms}


def rooms_of(package: Path) -> set[str]:
    """Names of the files and folders that a package consists of."""
    files = {path.stem for path in package.glob("*.py")}
    return files | {path.parent.name for path in package.glob("*/__init__.py")}


def imported(tree: ast.AST, rooms: set[str]) -> Iterator[tuple[int, str]]:
    """Line and dotted path of each import of netwright, wherever in the file it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level > 0:
            names = ["netwright.<relative>"]
        elif isinstance(node, ast.ImportFrom) and node.module == "netwright":
            # A name that is no room of its own is something that the front door hands out.
            homes = (a.name if a.name in rooms else FRONT_DOOR for a in node.names)
            names = [f"netwright.{home}" for home in homes]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        else:
            continue
        for name in names:
            if name == "netwright":
                yield node.lineno, FRONT_DOOR
            elif name.startswith("netwright."):
                yield node.lineno, name.removeprefix("netwright.")


def faults_of(package: Path) -> list[str]:
    """What breaks the drawing, as lines that say how to mend it."""
    rooms = rooms_of(package)
    faults = [
        f"{room} is not in the drawing: add it to DRAWING in tests/test_layout.py, on the line of what it "
        "may import from"
        for room in sorted(rooms - set(LINE_OF))
    ]
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        for line, target in imported(ast.parse(path.read_text()), rooms):
            place = f"{'/'.join(parts)}.py:{line} imports netwright.{target}"
            room, *inner = target.split(".")
            if room == "<relative>":
                faults.append(f"{place}: write `from netwright...`, so that a reader sees the room")
            elif LINE_OF.get(room, -1) > LINE_OF.get(parts[0], len(DRAWING)):
                faults.append(f"{place} from below: move what both need up to a line above both")
            elif room == parts[0] == "apps" and inner[:1] != list(parts[1:2]) and len(parts) > 2:
                faults.append(f"{place}: an app never imports another app; move what both need up")
    return faults


def test_imports_run_downwards_only():
    assert faults_of(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("space.py", "from netwright.child import Child", None),
        ("space.py", "from netwright import errors", None),
        ("errors.py", "import torch", None),
        ("cli/app.py", "from netwright import __version__", None),
        ("apps/a/task.py", "from netwright.apps.a.child import x", None),
        ("space.py", "from netwright.tasks.base import Task", "from below"),
        ("space.py", "def f():\n    from netwright import tasks", "from below"),
        ("space.py", "import netwright.training.step", "from below"),
        ("space.py", "import netwright as nw", "from below"),
        ("tasks/sine.py", "from netwright import Child", "from below"),
        ("space.py", "from .child import Child", "write `from netwright"),
        ("apps/a/task.py", "from netwright.apps.b import y", "never imports another app"),
        ("helpers.py", "", "add it to DRAWING"),
    ],
)
def test_the_reader_of_imports_sees_what_it_must(tmp_path, file, text, fault):
    for room in ("child", "errors", "tasks", "apps", "apps/a", "apps/b", "training", "cli"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").touch()
    path = tmp_path / file
    path.write_text(text)
    faults = faults_of(tmp_path)
    assert len(faults) == (fault is not None)
    assert all(fault in line for line in faults)


def modules_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after `statement`."""
    report = "import json, sys; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    code = f"{statement}\n{report}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


EXTRAS = {
    "matplotlib",
    "transformers",
    "PIL",
    "pyarrow",
    "pandas",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "scipy",
    "statsmodels",
    "sqlalchemy",
    "psycopg",
    "huggingface_hub",
    "cryptography",
    "peft",
}


def test_importing_netwright_pulls_in_nothing_heavier_than_torch():
    assert not modules_after("import netwright") & (EXTRAS | {"typer", "rich"})


def test_no_public_name_needs_an_extra():
    everything = "import netwright as nw; [getattr(nw, name) for name in nw.__all__]"
    assert not modules_after(everything) & (EXTRAS | {"typer"})


def test_help_answers_without_torch():
    ask = "import sys, netwright.cli; sys.argv = ['netwright', '--help']\n"
    ask += "try: netwright.cli.main()\nexcept SystemExit as end: assert not end.code"
    assert not modules_after(ask) & (EXTRAS | {"torch", "numpy", "pydantic"})


def test_the_public_names_are_those_that_can_be_imported():
    assert len(set(netwright.__all__)) == len(netwright.__all__)
    assert set(netwright.__all__) == {name for name in dir(netwright) if name.strip("_")}
    assert all(getattr(netwright, name) is not None for name in netwright.__all__)
    with pytest.raises(AttributeError, match="module 'netwright' has no attribute 'nonsense'"):
        netwright.nonsense  # noqa: B018


def test_type_checkers_see_the_public_names():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    seen = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("netwright")
        for alias in node.names
    }
    assert seen == set(netwright.__all__)


def packages() -> list[str]:
    """Rooms that are folders, at any depth."""
    found = pkgutil.walk_packages([str(PACKAGE)], "netwright.")
    return [module.name for module in found if module.ispkg]


@pytest.mark.parametrize("name", packages())
def test_a_room_hands_out_what_it_lists(name):
    room = importlib.import_module(name)
    listed = getattr(room, "__all__", [])
    assert len(set(listed)) == len(listed)
    assert [entry for entry in listed if not hasattr(room, entry)] == []
