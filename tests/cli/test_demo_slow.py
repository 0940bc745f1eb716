"""The demo in full: its claim, measured."""

import json
import sys

import pytest

from netwright import cli


@pytest.mark.slow
def test_generated_networks_beat_their_rivals_with_intervals_that_do_not_overlap(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(
        sys, "argv", ["netwright", "demo", "--json", "--folder", str(tmp_path / "demo")]
    )
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert not stopped.value.code
    generated, *rivals = json.loads(capsys.readouterr().out)["rivals"]
    assert generated["name"] == "generated network"
    assert len(rivals) == 4
    for rival in rivals:
        assert generated["low"] > rival["high"], rival["name"]
