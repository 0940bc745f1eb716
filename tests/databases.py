"""Servers that tests run for themselves."""

import os
import shutil
import socket
import subprocess
import time
import uuid
from pathlib import Path

# PostgreSQL refuses to be run by the superuser.
NOBODY = 65534


class Postgres:
    """A server in a folder of its own, on a port of the system's choosing."""

    def __init__(self, programs: Path, folder: Path):
        self.programs, self.folder = programs, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.as_user = {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 else {}
        if self.as_user:
            os.chown(folder, NOBODY, NOBODY)
        self.call("initdb", "--username=tester", "--auth=trust", "--no-sync", "-E", "UTF8")

    def call(self, program, *arguments):
        command = [str(self.programs / program), "-D", str(self.folder / "data"), *arguments]
        subprocess.run(
            command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.as_user
        )  # fmt: skip

    def start(self):
        settings = f"-h 127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off"
        self.call("pg_ctl", "-w", "-o", settings, "-l", str(self.folder / "log"), "start")

    def stop(self, mode="immediate"):
        self.call("pg_ctl", "-w", "-m", mode, "stop")

    def url(self, name="postgres"):
        return f"postgresql://tester:secret-word@127.0.0.1:{self.port}/{name}"


def programs():
    """Where PostgreSQL's programs are, if they are anywhere."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    return Path(initdb).parent if initdb else None


def new_database(postgres):
    import psycopg

    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.url(name)


def patiently(works, seconds=20.0):
    """Try until it works: a server needs a moment to come up."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            return works()
        except ConnectionError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)
