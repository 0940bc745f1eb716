"""How much a server does, and whether it stays right meanwhile: `python benchmarks/serving_load.py`.

Row `load-correctness`: answers under load that differ from those that one client alone gets, or are 5xx. Row `load-throughput`:
predictions per second over 1,000 networks of 9,021 numbers; beside it networks written (and kept, durably) per second, and
both beside a server that batches nothing. Server and client share the machine; CPU seconds of both are told.
"""

import argparse
import asyncio
import json
import random
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import serving
from records import Row, write_rows

NETWORKS = 1_000
# As many as `load-correctness` has.
CLIENTS = 64
UNBATCHED = ("--max-batch", "1", "--max-delay-ms", "0")


def create(seed: int) -> bytes:
    """A request for a network."""
    return serving.post(
        "/v1/networks", {"hypernetwork": serving.NAME, "condition": serving.condition(seed)}
    )


def created(port: int, requests: list[bytes], clients: int) -> tuple[float, list[float], list[str]]:
    """Seconds, seconds of each, ids."""
    ids = [""] * len(requests)

    def done(number: int, status: int, answer: bytes) -> None:
        assert status == 201, (status, answer)
        ids[number] = json.loads(answer)["id"]

    seconds, each = asyncio.run(serving.asked_by(port, clients, requests, done))
    return seconds, each, ids


def predictions(ids: list[str], count: int, seed: int) -> list[bytes]:
    """Requests of one row each, for networks drawn at random."""
    rng = random.Random(seed)
    return [
        serving.post(f"/v1/networks/{rng.choice(ids)}/predict", {"x": serving.rows(i)})
        for i in range(count)
    ]


def speed(port: int, requests: list[bytes], clients: int) -> tuple[float, list[float]]:
    """Seconds, seconds of each; all are answered."""

    def done(number: int, status: int, answer: bytes) -> None:
        assert status == 200, (status, answer)

    return asyncio.run(serving.asked_by(port, clients, requests, done))


def throughput(run: Path, root: Path, count: int, rounds: int) -> list[Row]:
    """Batched and unbatched, in turns."""
    found: dict[tuple[str, str], list[float]] = {}
    p99: dict[str, list[float]] = {}
    cpu: dict[tuple[str, str], list[float]] = {}
    began = time.process_time()
    for number in range(rounds):
        for kind, options in (("batched", ()), ("unbatched", UNBATCHED)):
            home = root / f"{kind}-{number}"
            home.mkdir()
            with serving.running(run, home, *options) as server:
                some = NETWORKS if kind == "batched" else 300
                created(server.port, [create(10_000 + i) for i in range(64)], CLIENTS)
                before = server.cpu_seconds()
                seconds, _, ids = created(server.port, [create(i) for i in range(some)], 64)
                found.setdefault(("write", kind), []).append(some / seconds)
                cpu.setdefault(("write", kind), []).append((server.cpu_seconds() - before) / some)
                speed(server.port, predictions(ids, 2 * len(ids), 1), CLIENTS)
                requests = predictions(ids, count if kind == "batched" else count // 4, 2)
                before = server.cpu_seconds()
                seconds, each = speed(server.port, requests, CLIENTS)
                found.setdefault(("predict", kind), []).append(len(requests) / seconds)
                cpu.setdefault(("predict", kind), []).append(
                    (server.cpu_seconds() - before) / len(requests)
                )
                p99.setdefault(kind, []).append(1000 * float(np.percentile(each, 99)))
        print({key: np.round(values, 1).tolist() for key, values in found.items()}, flush=True)
    spent = time.process_time() - began
    command = f"python benchmarks/serving_load.py --requests {count} --rounds {rounds}"

    def row(name: str, values: list[float], unit: str, n: int, note: str) -> Row:
        return Row(
            name, float(np.median(values)), min(values), max(values), unit, True, n, list(range(rounds)), spent, command,
            f"{note}; median, least and most of {rounds} rounds; server and client on one machine of two cores, shared with "
            "other work",
        )  # fmt: skip

    def cost(what: str, kind: str = "batched") -> str:
        return f"{1000 * float(np.median(cpu[what, kind])):.2f} ms of CPU per request in the server"

    ratios = {
        what: [a / b for a, b in zip(found[what, "batched"], found[what, "unbatched"], strict=True)]
        for what in ("write", "predict")
    }
    saved = {
        what: [b / a for a, b in zip(cpu[what, "batched"], cpu[what, "unbatched"], strict=True)]
        for what in ("write", "predict")
    }
    tail = float(np.median(p99["batched"]))
    return [
        row("load-throughput", found["predict", "batched"], "predictions/s", count,
            f"one row each, {NETWORKS} networks of 9,021 numbers, {CLIENTS} clients; p99 {tail:.1f} ms; {cost('predict')}"),
        row("load-throughput-write", found["write", "batched"], "networks/s", NETWORKS,
            f"written from ten rows, kept durably, 64 clients; {cost('write')}"),
        row("load-batching-write", ratios["write"], "x", NETWORKS,
            f"networks/s over those of --max-batch 1 ({cost('write', 'unbatched')})"),
        row("load-batching-predict", ratios["predict"], "x", count,
            f"predictions/s over those of --max-batch 1 ({cost('predict', 'unbatched')}; CPU saved "
            f"{np.median(saved['predict']):.2f} x)"),
    ]  # fmt: skip


def correctness(run: Path, root: Path, clients: int, each: int) -> Row:
    """Mixed requests of many clients, compared with what one client alone was told."""
    home = root / "correctness"
    home.mkdir()
    began = time.process_time()
    rng = random.Random(0)
    with serving.running(run, home) as server:
        _, _, ids = created(server.port, [create(i) for i in range(200)], 1)
        kinds: list[tuple[bytes, str]] = []
        for i in range(300):
            kinds.append(
                (
                    serving.post(
                        f"/v1/networks/{rng.choice(ids)}/predict", {"x": serving.rows(i, 1 + i % 5)}
                    ),
                    "outputs",
                )
            )
        for i in range(100):
            body = {
                "hypernetwork": serving.NAME,
                "condition": serving.condition(500 + i),
                "x": serving.rows(i, 2),
            }
            kinds.append((serving.post("/v1/predict", body), "outputs"))
        for i in range(40):
            kinds.append((create(900 + i), "created"))
        for network_id in ids[:40]:
            kinds.append((serving.request_bytes("GET", f"/v1/networks/{network_id}"), "same"))
        kinds.append((serving.post("/v1/networks/nothing/predict", {"x": serving.rows(0)}), "same"))
        alone: list[tuple[int, bytes]] = [(0, b"")] * len(kinds)

        def note(number: int, status: int, answer: bytes) -> None:
            alone[number] = (status, answer)

        asyncio.run(serving.asked_by(server.port, 1, [request for request, _ in kinds], note))
        truth = [
            np.array(json.loads(a)["outputs"]) if k == "outputs" else None
            for (_, k), (_, a) in zip(kinds, alone, strict=True)
        ]
        # Writing networks is a twentieth: each is a file, and there are many.
        weights = [{"outputs": 1.0, "created": 0.5, "same": 1.0}[kind] for _, kind in kinds]
        drawn = rng.choices(range(len(kinds)), weights, k=clients * each)
        wrong: list[str] = []
        largest = 0.0
        made: list[tuple[int, str]] = []

        def check(number: int, status: int, answer: bytes) -> None:
            nonlocal largest
            which = drawn[number]
            kind = kinds[which][1]
            if status != alone[which][0]:
                wrong.append(f"{status} for {alone[which][0]}")
            elif kind == "same" and answer != alone[which][1]:
                wrong.append("another answer")
            elif kind == "outputs":
                expected = truth[which]
                gap = float(np.abs(np.array(json.loads(answer)["outputs"]) - expected).max())
                largest = max(largest, gap / max(1.0, float(np.abs(expected).max())))
            elif kind == "created" and len(made) < 2_000:
                made.append((which, json.loads(answer)["id"]))

        seconds, _ = asyncio.run(
            serving.asked_by(server.port, clients, [kinds[i][0] for i in drawn], check)
        )
        # What was written under load says what was written alone.
        x = {"x": serving.rows(3, 4)}
        said: dict[int, np.ndarray] = {}
        connection = serving.Connection(server.port)

        async def compare() -> None:
            nonlocal largest
            for which, network_id in [
                (i, json.loads(alone[i][1])["id"])
                for i, (_, k) in enumerate(kinds)
                if k == "created"
            ]:
                _, answer = await connection.ask(
                    serving.post(f"/v1/networks/{network_id}/predict", x)
                )
                said[which] = np.array(json.loads(answer)["outputs"])
            for which, network_id in made:
                status, answer = await connection.ask(
                    serving.post(f"/v1/networks/{network_id}/predict", x)
                )
                if status != 200:
                    wrong.append(f"{status} for a network that was acknowledged")
                    continue
                gap = float(np.abs(np.array(json.loads(answer)["outputs"]) - said[which]).max())
                largest = max(largest, gap / max(1.0, float(np.abs(said[which]).max())))

        asyncio.run(compare())
    if largest > 1e-5:
        wrong.append(f"outputs differ by {largest:.2g}")
    return Row(
        "load-correctness", len(wrong), None, None, "wrong answers", False, len(drawn), [0], time.process_time() - began,
        f"python benchmarks/serving_load.py --clients {clients} --each {each}",
        f"{clients} clients x {each} mixed requests (predict, write, write and predict, read, missing) in {seconds:.0f} s: status and "
        f"answer as for one client alone; outputs differ by {largest:.1e} of the largest at most, {len(made)} networks written under "
        f"load compared{'; ' + '; '.join(sorted(set(wrong))[:3]) if wrong else ''}",
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--each", type=int, default=5_000)
    parser.add_argument("--requests", type=int, default=12_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["correctness", "throughput"])
    parser.add_argument("--run", type=Path, default=Path("runs/serving/shops"))
    options = parser.parse_args()
    run = serving.make_run(options.run)
    root = Path(tempfile.mkdtemp(prefix="netwright-load-"))
    try:
        if options.only != "correctness":
            write_rows("serving", throughput(run, root, options.requests, options.rounds))
        if options.only != "throughput":
            write_rows("serving", [correctness(run, root, options.clients, options.each)])
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
