"""`netwright serve` and `netwright token`, as a person types them."""

import os
import signal
import subprocess
import sys

import httpx
import pytest
from trainings import run as train

from netwright import cli
from netwright.cli.serve import bytes_of
from netwright.errors import RunError


def typed(monkeypatch, capsys, *arguments) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["netwright", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    printed = capsys.readouterr()
    return stopped.value.code or 0, printed.out, printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0", "RUN"], "netwright token new"),
        (["nowhere"], "is not a folder"),
        (["RUN", "RUN"], "different names"),
        (["RUN", "--bank-bytes", "much"], "such as 500MB"),
        (["RUN", "--token-file", "nowhere"], "netwright token new"),
        (["RUN", "--registry", "mysql://x"], "sqlite:///FILE"),
    ],
)
def test_mistakes_are_one_line(monkeypatch, capsys, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "RUN":
        train("run", steps=6)
    arguments = ["run" if each == "RUN" else each for each in arguments]
    code, out, err = typed(monkeypatch, capsys, "serve", *arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_token_is_printed_once_and_mistakes_are_one_line(monkeypatch, capsys, tmp_path):
    file = tmp_path / "tokens.json"
    code, out, _ = typed(
        monkeypatch, capsys, "token", "new", "--file", file, "--name", "alice", "--bytes-per-day", 7
    )
    assert code == 0
    assert out.startswith("nw_")
    assert out.strip() not in file.read_text()
    code, _, err = typed(monkeypatch, capsys, "token", "new", "--file", file, "--name", "a b")
    assert code == 1
    assert err.count("\n") == 1


def test_bytes_are_read_as_people_write_them():
    assert [bytes_of(t, "--x") for t in ("2GB", "1.5 mb", "10", "1KiB", "3B")] == [
        2 * 10**9,
        1_500_000,
        10,
        1024,
        3,
    ]
    for text in ("", "GB", "-1", "1TB", "0", "1e3", "nan"):
        with pytest.raises(RunError, match="`--x`"):
            bytes_of(text, "--x")


def test_a_run_is_served_until_it_is_told_to_stop(tmp_path):
    train(tmp_path / "waves", steps=6)
    process = subprocess.Popen(
        [sys.executable, "-c", "import netwright.cli; netwright.cli.main()", "serve", "waves", "--port", "0"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    try:
        url = process.stdout.readline().removeprefix("serving on ").strip()
        body = {
            "hypernetwork": "waves", "condition": {"examples": {"x": [[0.1], [1.0]], "y": [0.5, -0.5]}},
            "x": [[0.2]],
        }  # fmt: skip
        answer = httpx.post(f"{url}/v1/predict", json=body).json()
        assert len(answer["outputs"]) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()
    assert (tmp_path / "networks").is_dir() is False, "nothing was to be kept"
