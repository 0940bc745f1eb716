"""`netwright networks list`, `show`, `verify` and `remove`."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from netwright.cli.output import print_json
from netwright.registry import Entry, Registry


def run_list(
    url: str, artifacts: str, *, owner: str | None, limit: int, after: int, as_json: bool
) -> None:
    """Print a line per network."""
    registry = _opened(url, artifacts)
    entries = registry.list(owner=owner, limit=limit, after=after)
    count = registry.count(owner=owner)
    if as_json:
        print_json({"count": count, "networks": [_told(entry) for entry in entries]})
        return
    rows = [["id", "owner", "parameters", "bytes", "architecture", "added (UTC)"]]
    rows += [
        [e.network_id, e.owner or "-", f"{e.parameters:,}", f"{e.size:,}", _family(e), _time(e)]
        for e in entries
    ]
    # Ids are to be copied: no table that cuts them to the terminal's width.
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(
            "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    print(f"{len(entries)} of {count:,} networks in {url_without_password(url)}")
    if len(entries) == limit < count:
        print(f"next: --after {entries[-1].number}")


def run_show(
    network_id: str, url: str, artifacts: str, *, owner: str, out: str | None, as_json: bool
) -> None:
    """Print what is known of a network; write its files."""
    registry = _opened(url, artifacts)
    entry = registry.entry(network_id, owner=owner)
    told = _told(entry)
    if out is not None:
        told["out"] = registry.get(network_id, owner=owner).save(Path(out))
    if as_json:
        print_json(told)
        return
    provenance = told.pop("provenance")
    versions = provenance.pop("versions")
    told |= {f"written by {k}": v for k, v in versions.items()}
    told |= {f"digest of {k}": v for k, v in provenance.items() if v}
    width = max(map(len, told))
    for name, value in told.items():
        print(f"{name:{width}}  {value}")


def run_verify(
    network_id: str | None, url: str, artifacts: str, *, owner: str | None, as_json: bool
) -> None:
    """Verify one network, or all; exits with 1 if one is damaged."""
    registry = _opened(url, artifacts)
    if network_id is not None:
        entry = registry.verify(network_id, owner=owner or "")
        if as_json:
            print_json({"whole": 1, "damaged": []})
        else:
            print(f"{network_id}: whole, {entry.size:,} bytes, sha256 {entry.sha256}")
        return
    found = registry.verify_all(owner=owner)
    damaged = [
        {"owner": whose, "network_id": name, "fault": fault}
        for (whose, name), fault in found.damaged.items()
    ]
    if as_json:
        print_json({"whole": found.whole, "damaged": damaged})
    else:
        print(f"{found.whole:,} networks are whole, {len(damaged):,} damaged")
        for each in damaged:
            print(f"netwright: {each['fault']}", file=sys.stderr)
    if damaged:
        sys.exit(1)


def run_remove(network_id: str, url: str, artifacts: str, *, owner: str, as_json: bool) -> None:
    """Remove a network."""
    _opened(url, artifacts).remove(network_id, owner=owner)
    if as_json:
        print_json({"removed": network_id, "owner": owner})
    else:
        print(f"removed {network_id}")


def url_without_password(url: str) -> str:
    """A database's URL as it may be shown."""
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)


def _opened(url: str, artifacts: str) -> Registry:
    # Whoever only looks makes nothing and removes nothing.
    return Registry(url, artifacts, clean=False, create=False)


def _told(entry: Entry) -> dict[str, Any]:
    return {**asdict(entry), "created": _time(entry)}


def _time(entry: Entry) -> str:
    return datetime.fromtimestamp(entry.created, UTC).isoformat(sep=" ", timespec="seconds")[:19]


def _family(entry: Entry) -> str:
    return str((entry.architecture or {"family": "own module"})["family"])
