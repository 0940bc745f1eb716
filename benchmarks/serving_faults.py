"""What a server loses when it is killed, and what it does without disk or database: `python benchmarks/serving_faults.py`.

Row `server-faults`: networks that were acknowledged and are lost after a kill -9 at random moments under load. Beside it seconds
until a server that was started again is ready, and whether a full disk and a lost database are told (503) and mended without
a restart.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import serving
from records import Row, write_rows

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
CLIENTS = 8


def body(seed: int) -> dict:
    return {"hypernetwork": serving.NAME, "condition": serving.condition(seed)}


async def create_until_killed(
    server: serving.Server, seeds, acknowledged: dict[str, int], seconds: float
) -> None:
    """Have networks written by several clients; kill the server in the middle."""

    async def client() -> None:
        connection = serving.Connection(server.port)
        try:
            while True:
                seed = next(seeds)
                status, answer = await connection.ask(serving.post("/v1/networks", body(seed)))
                if status == 201:
                    acknowledged[json.loads(answer)["id"]] = seed
        except OSError:
            return

    tasks = [asyncio.create_task(client()) for _ in range(CLIENTS)]
    await asyncio.sleep(seconds)
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    await asyncio.gather(*tasks)


async def lost(server: serving.Server, acknowledged: dict[str, int]) -> list[str]:
    """Networks that are not there, or say something else than what is written from their condition now."""
    connection = serving.Connection(server.port)
    wrong = []
    for network_id, seed in acknowledged.items():
        x = serving.rows(seed)
        status, answer = await connection.ask(
            serving.post(f"/v1/networks/{network_id}/predict", {"x": x})
        )
        _, again = await connection.ask(serving.post("/v1/predict", {**body(seed), "x": x}))
        if status != 200 or not np.allclose(
            json.loads(answer)["outputs"], json.loads(again)["outputs"], atol=1e-5, rtol=1e-5
        ):
            wrong.append(network_id)
    return wrong


async def until_ready(port: int) -> None:
    connection = serving.Connection(port)
    while (await connection.ask(serving.request_bytes("GET", "/readyz")))[0] != 200:
        await asyncio.sleep(0.02)


def kills(run: Path, root: Path, rounds: int) -> tuple[int, int, list[float], list[float]]:
    """Networks acknowledged, networks lost, seconds to ready, CPU seconds to ready."""
    rng = random.Random(0)
    home = root / "kills"
    home.mkdir()
    count, missing, seconds, cpu = 0, 0, [], []
    seeds = iter(range(10**9))
    everything: dict[str, int] = {}
    server = serving.start(run, home)
    for number in range(rounds):
        acknowledged: dict[str, int] = {}
        asyncio.run(create_until_killed(server, seeds, acknowledged, rng.uniform(0.05, 1.2)))
        began = time.perf_counter()
        server = serving.start(run, home)
        asyncio.run(until_ready(server.port))
        seconds.append(time.perf_counter() - began)
        cpu.append(server.cpu_seconds())
        missing += len(asyncio.run(lost(server, acknowledged)))
        everything |= acknowledged
        print(
            f"{number}: {len(acknowledged)} acknowledged, {missing} lost, ready in {seconds[-1]:.1f} s",
            flush=True,
        )
    count = len(everything)
    listed = asyncio.run(all_ids(server))
    missing += len(set(everything) - listed)
    server.process.terminate()
    server.process.wait()
    return count, missing, seconds, cpu


async def all_ids(server: serving.Server) -> set[str]:
    connection, found, after = serving.Connection(server.port), set(), 0
    while after is not None:
        _, answer = await connection.ask(
            serving.request_bytes("GET", f"/v1/networks?limit=1000&after={after}")
        )
        page = json.loads(answer)
        found |= {network["id"] for network in page["networks"]}
        after = page["next"]
    return found


async def statuses_while(
    server: serving.Server, network_id: str, seed: int
) -> tuple[int, int, int]:
    """Of writing a network, of running one that is in memory, and of readiness."""
    connection = serving.Connection(server.port)
    created, _ = await connection.ask(serving.post("/v1/networks", body(seed)))
    said, _ = await connection.ask(
        serving.post(f"/v1/networks/{network_id}/predict", {"x": serving.rows(0)})
    )
    await asyncio.sleep(1.1)  # Readiness is looked up once a second.
    ready, _ = await connection.ask(serving.request_bytes("GET", "/readyz"))
    return created, said, ready


async def seconds_to_mend(server: serving.Server) -> float:
    """Until networks are written again, without a restart."""
    connection = serving.Connection(server.port)
    began = time.perf_counter()
    for seed in range(10**6):
        status, _ = await connection.ask(serving.post("/v1/networks", body(seed)))
        if status == 201:
            return time.perf_counter() - began
        await asyncio.sleep(0.05)
    raise AssertionError


def first_network(server: serving.Server) -> str:
    _, answer = asyncio.run(
        serving.Connection(server.port).ask(serving.post("/v1/networks", body(0)))
    )
    network_id: str = json.loads(answer)["id"]
    asyncio.run(
        serving.Connection(server.port).ask(
            serving.post(f"/v1/networks/{network_id}/predict", {"x": serving.rows(0)})
        )
    )
    return network_id


def full_disk(run: Path, root: Path) -> tuple[tuple[int, int, int], float, int]:
    """Statuses with a full disk, seconds until it is used again, networks lost; the disk is a tmpfs of 3 MB."""
    home = root / "disk"
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(home)], check=True)
    try:
        with serving.running(run, home) as server:
            network_id = first_network(server)
            acknowledged: dict[str, int] = {network_id: 0}
            connection = serving.Connection(server.port)

            async def fill() -> None:
                for seed in range(1, 2000):
                    status, answer = await connection.ask(serving.post("/v1/networks", body(seed)))
                    if status != 201:
                        connection.close()
                        return
                    acknowledged[json.loads(answer)["id"]] = seed
                raise AssertionError("the disk did not become full")

            filler = home / "filler"
            filler.write_bytes(b"x" * 1_500_000)
            asyncio.run(fill())
            statuses = asyncio.run(statuses_while(server, network_id, 5))
            filler.unlink()
            seconds = asyncio.run(seconds_to_mend(server))
            missing = len(asyncio.run(lost(server, acknowledged)))
        return statuses, seconds, missing
    finally:
        subprocess.run(["umount", "-l", str(home)], check=False)


def lost_database(run: Path, root: Path) -> tuple[tuple[int, int, int], float] | None:
    """Statuses without the database, and seconds until it is used again; None without PostgreSQL."""
    from databases import Postgres, new_database, programs

    where = programs()
    if where is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="netwright-postgres-"))
    database = Postgres(where, folder)
    database.start()
    home = root / "database"
    home.mkdir()
    try:
        with serving.running(run, home, "--registry", new_database(database)) as server:
            network_id = first_network(server)
            database.stop()
            statuses = asyncio.run(statuses_while(server, network_id, 5))
            database.start()
            return statuses, asyncio.run(seconds_to_mend(server))
    finally:
        database.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--run", type=Path, default=Path("runs/serving/shops"))
    options = parser.parse_args()
    command = f"python benchmarks/serving_faults.py --rounds {options.rounds}"
    run = serving.make_run(options.run)
    root = Path(tempfile.mkdtemp(prefix="netwright-faults-"))
    began = time.process_time()
    rows = []

    def row(
        name: str, value: float, unit: str, n: int, note: str, low=None, high=None, higher=False
    ) -> None:
        cpu = time.process_time() - began
        rows.append(Row(name, value, low, high, unit, higher, n, [0], cpu, command, note))

    try:
        count, missing, seconds, cpu = kills(run, root, options.rounds)
        row(
            "server-faults", missing, "networks lost", count,
            f"of {count} acknowledged, after {options.rounds} kill -9 at random moments under {CLIENTS} clients; each is "
            "there and says what is written from its condition now, within 1e-5",
        )  # fmt: skip
        row(
            "server-faults-restart", float(np.median(seconds)), "s", len(seconds),
            f"from the start of the process to ready, median, lowest and highest of {len(seconds)} restarts; of CPU "
            f"{np.median(cpu):.2f} s (the machine of two cores was shared with other work)",
            min(seconds), max(seconds),
        )  # fmt: skip
        statuses, mended, missing = full_disk(run, root)
        row(
            "server-faults-disk", mended, "s to mend", 1,
            f"full tmpfs: writing {statuses[0]}, running what is in memory {statuses[1]}, ready {statuses[2]}; networks lost "
            f"{missing}; writes again by itself as soon as there is room",
        )  # fmt: skip
        found = lost_database(run, root)
        if found is not None:
            statuses, mended = found
            row(
                "server-faults-database", mended, "s to mend", 1,
                f"PostgreSQL stopped: writing {statuses[0]}, running what is in memory {statuses[1]}, ready {statuses[2]}; "
                "writes again by itself when it is back",
            )  # fmt: skip
    finally:
        shutil.rmtree(root, ignore_errors=True)
    write_rows("serving", rows)


if __name__ == "__main__":
    main()
