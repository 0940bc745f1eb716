"""Registries in SQLite and in a PostgreSQL of the tests' own."""

import shutil
import tempfile
from pathlib import Path

import pytest
import torch
from databases import Postgres, new_database, programs
from making import make_condition, make_vector_hypernetwork

from netwright.registry import Registry


@pytest.fixture(scope="session")
def postgres():
    where = programs()
    if where is None:
        pytest.skip("needs the programs of PostgreSQL (initdb, pg_ctl)")
    folder = Path(tempfile.mkdtemp(prefix="netwright-postgres-"))
    server = Postgres(where, folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """A database that holds nothing yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/registry.db"
    return new_database(request.getfixturevalue("postgres"))


@pytest.fixture
def registry(url, tmp_path):
    opened = Registry(url, tmp_path / "artifacts")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def networks():
    """Six small networks of different tasks."""
    rng = torch.Generator().manual_seed(0)
    condition = make_condition(6, rng, "examples")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hypernetwork = make_vector_hypernetwork("dense")
    return hypernetwork.generate_many(condition, labels=[["a", "b"]] * 6)
