"""What strangers can do to a server: `python benchmarks/serving_hostile.py`.

Row `hostile-input`: answers of 5xx to OpenAPI fuzzing (schemathesis) and 2,000 mutated bodies. Beside it growth of memory; slow
connections and what they cost a healthy client; a request for a network of a billion numbers.
"""

import argparse
import asyncio
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import serving
from records import Row, write_rows

EVIL = [
    b"NaN", b"Infinity", b"-1e999", b"null", b"true", b"{}", b"[]", b'""', b"1e400", b"9" * 400, b"-0", b"[[[[[[[[1]]]]]]]]",
    b'"\\ud800"', b'"\\u0000"', b"\xff", b"\xc3", b"[" * 5_000, b'{"a":' * 2_000, b",", b":", b"\x00", b"0x1", b"1_000", b"1e-400",
]  # fmt: skip


def mutated(rng: random.Random, text: bytes) -> bytes:
    """A body with a few things wrong."""
    data = bytearray(text)
    for _ in range(rng.randint(1, 4)):
        kind = rng.randrange(6)
        at = rng.randrange(len(data) + 1)
        if kind == 0 and data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at:at] = rng.choice(EVIL)
        elif kind == 2:
            del data[at : at + rng.randint(1, 200)]
        elif kind == 3:
            data[at:at] = data[at : at + rng.randint(1, 200)]
        elif kind == 4:
            numbers = [m.span() for m in re.finditer(rb"-?\d+\.?\d*", bytes(data[:50_000]))]
            if numbers:
                first, last = rng.choice(numbers)
                data[first:last] = rng.choice(EVIL)
        else:
            names = [m.span() for m in re.finditer(rb'"[a-z]+"', bytes(data))]
            if names:
                first, last = rng.choice(names)
                data[first:last] = rng.choice(
                    [b'"x"', b'"y"', b'"examples"', b'"architecture"', b'"context"', b'""', b"1"]
                )
    return bytes(data)


def requests_of(rng: random.Random, network_id: str, count: int) -> list[bytes]:
    """Mutated bodies for every route that takes one, in every form."""
    from safetensors.numpy import save

    from netwright.serving.strict import array_bytes

    examples = serving.condition(0)["examples"]
    create = {
        "hypernetwork": serving.NAME,
        "condition": {"examples": examples},
        "labels": list("vwxyz"),
    }
    x = np.array(serving.rows(0, 3), np.float32)
    tensors = {
        "examples.x": np.array(examples["x"], np.float32),
        "examples.y": np.array(examples["y"]),
    }
    form = b'--b\r\nContent-Disposition: form-data; name="hypernetwork"\r\n\r\nshops\r\n--b\r\nContent-Disposition: form-data; name="a"; filename="a.png"\r\n\r\n\x89PNG\r\n\x1a\n0000\r\n--b--\r\n'
    seeds = [
        ("/v1/networks", "application/json", json.dumps(create).encode()),
        ("/v1/predict", "application/json", json.dumps({**create, "x": x.tolist()}).encode()),
        (
            f"/v1/networks/{network_id}/predict",
            "application/json",
            json.dumps({"x": x.tolist()}).encode(),
        ),
        (f"/v1/networks/{network_id}/predict", "application/x-npy", array_bytes(x)),
        (f"/v1/networks?hypernetwork={serving.NAME}", "application/vnd.safetensors", save(tensors)),
        ("/v1/networks", "multipart/form-data; boundary=b", form),
    ]
    found = []
    for number in range(count):
        path, media_type, text = seeds[number % len(seeds)]
        body = mutated(rng, text)
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        found.append(head.encode() + body)
    return found


def fuzzed(server: serving.Server, root: Path, examples: int) -> tuple[int, int, str]:
    """Failures and cases of schemathesis, and what failed.

    All its checks but one: that whatever fits the schema is accepted; a schema cannot say that an example must have the
    width of a hypernetwork's inputs. `Deadline-Ms` is left out: 504 is the answer to who asks for one millisecond.
    """
    _, text = asyncio.run(
        serving.Connection(server.port).ask(serving.request_bytes("GET", "/openapi.json"))
    )
    schema = json.loads(text)
    for path in schema["paths"].values():
        for operation in path.values():
            operation["parameters"] = [
                p for p in operation.get("parameters", []) if p["name"] != "Deadline-Ms"
            ]
    file = root / "openapi.json"
    file.write_text(json.dumps(schema))
    done = subprocess.run(
        [
            "schemathesis", "run", str(file), "--url", server.address, "--checks", "all",
            "--exclude-checks", "positive_data_acceptance", "--max-examples", str(examples), "--seed", "1",
            "--request-timeout", "120", "--suppress-health-check", "all",
        ],
        capture_output=True, text=True, check=False, cwd=root,
    )  # fmt: skip
    (root.parent / "netwright-schemathesis.txt").write_text(done.stdout + done.stderr)
    cases = re.search(r"([\d,]+) generated", done.stdout)
    failures = re.findall(r"❌ ST\d+ ([^:\n]+): (\d+)", done.stdout)
    if cases is None:
        raise RuntimeError(f"schemathesis did not run: {done.stdout[-500:]}{done.stderr[-500:]}")
    told = ", ".join(f"{name}: {count}" for name, count in failures)
    return sum(int(count) for _, count in failures), int(cases[1].replace(",", "")), told


async def new_network(server: serving.Server) -> str:
    """Its id."""
    body = {"hypernetwork": serving.NAME, "condition": serving.condition(0)}
    _, answer = await serving.Connection(server.port).ask(serving.post("/v1/networks", body))
    network_id: str = json.loads(answer)["id"]
    return network_id


async def statuses_of(server: serving.Server, requests: list[bytes]) -> list[int]:
    """Of each on a connection of its own, for a broken one may spoil what follows."""
    found = []
    for request in requests:
        connection = serving.Connection(server.port)
        try:
            status, _ = await asyncio.wait_for(connection.ask(request), 60)
        except (OSError, asyncio.LimitOverrunError):
            status = 0
        finally:
            connection.close()
        found.append(status)
    return found


async def healthy(port: int, network_id: str, seconds: float) -> list[float]:
    """Seconds of a healthy client's predictions, one after the other, for a while."""
    connection = serving.Connection(port)
    found = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        status, _ = await connection.ask(
            serving.post(f"/v1/networks/{network_id}/predict", {"x": serving.rows(0)})
        )
        assert status == 200
        found.append(time.perf_counter() - began)
        await asyncio.sleep(0.005)
    connection.close()
    return found


async def slow(port: int, head: bytes, trickle: bytes, closed: list[float]) -> None:
    """Send a byte now and then; when it is closed."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    try:
        while time.perf_counter() - began < 60:
            writer.write(trickle)
            await writer.drain()
            try:
                if await asyncio.wait_for(reader.read(4096), 0.5) == b"":
                    break
            except TimeoutError:
                continue
    except OSError:
        pass
    closed.append(time.perf_counter() - began)
    writer.close()


async def beside_slow(
    port: int, network_id: str, count: int
) -> tuple[list[float], list[float], list[float]]:
    """A healthy client alone, then beside slow heads and slow bodies; when these were closed."""
    await healthy(port, network_id, 1)
    alone = await healthy(port, network_id, 8)
    closed: list[float] = []
    body = b"POST /v1/networks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    tasks = [
        *(
            asyncio.create_task(slow(port, b"GET /healthz HTTP/1.1\r\nX: ", b"y", closed))
            for _ in range(count)
        ),
        *(asyncio.create_task(slow(port, body, b" ", closed)) for _ in range(count)),
    ]
    beside = await healthy(port, network_id, 8)
    await asyncio.gather(*tasks)
    return alone, beside, closed


async def billion(port: int) -> tuple[list[float], set[int]]:
    """Seconds until a network of a billion numbers is refused."""
    from servers import condition

    body = {
        "hypernetwork": "sizes",
        "condition": {**condition(), "architecture": {"hidden": [31_622, 31_622]}},
    }
    connection, seconds, statuses = serving.Connection(port), [], set()
    for _ in range(200):
        began = time.perf_counter()
        status, _ = await connection.ask(serving.post("/v1/networks", body))
        seconds.append(time.perf_counter() - began)
        statuses.add(status)
    return seconds, statuses


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bodies", type=int, default=2_000)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--slow", type=int, default=200)
    parser.add_argument("--run", type=Path, default=Path("runs/serving/shops"))
    options = parser.parse_args()
    command = f"python benchmarks/serving_hostile.py --bodies {options.bodies} --examples {options.examples} --slow {options.slow}"
    run = serving.make_run(options.run)
    root = Path(tempfile.mkdtemp(prefix="netwright-hostile-"))
    began = time.process_time()
    rows: list[Row] = []

    def row(name: str, value: float, unit: str, n: int, note: str, low=None, high=None) -> None:
        rows.append(
            Row(
                name,
                value,
                low,
                high,
                unit,
                False,
                n,
                [0],
                time.process_time() - began,
                command,
                note,
            )
        )

    shared = "the machine of two cores was shared with other work"
    try:
        home = root / "home"
        home.mkdir()
        with serving.running(run, home) as server:
            network_id = asyncio.run(new_network(server))
            # Whatever is set up once is set up before memory is looked at.
            asyncio.run(statuses_of(server, requests_of(random.Random(1), network_id, 300)))
            before = server.resident_bytes()
            statuses = asyncio.run(
                statuses_of(server, requests_of(random.Random(0), network_id, options.bodies))
            )
            failures, cases, told = fuzzed(server, root, options.examples)
            grown = (server.resident_bytes() - before) / 1e6
            counts = {status: statuses.count(status) for status in sorted(set(statuses))}
            errors = sum(count for status, count in counts.items() if status >= 500)
            row(
                "hostile-input", errors + failures, "failures", options.bodies + cases,
                f"5xx to {options.bodies} mutated bodies ({counts}; 0: closed without an answer), and failed checks of schemathesis "
                f"in {cases} cases{': ' + told if told else ''}",
            )  # fmt: skip
            row(
                "hostile-input-memory",
                grown,
                "MB",
                options.bodies + cases,
                "growth of resident memory meanwhile",
            )
            # What was there the fuzzing has removed.
            network_id = asyncio.run(new_network(server))
            alone, beside, closed = asyncio.run(beside_slow(server.port, network_id, options.slow))
            p99 = [1000 * float(np.percentile(seconds, 99)) for seconds in (alone, beside)]
            row(
                "hostile-input-slow", max(closed), "s", len(closed),
                f"until the last of {options.slow} slow heads and {options.slow} slow bodies was closed; p99 of a healthy client "
                f"{p99[0]:.1f} ms alone, {p99[1]:.1f} ms beside them ({shared})", min(closed), max(closed),
            )  # fmt: skip
            row(
                "hostile-input-healthy", p99[1] / p99[0], "x", len(beside),
                f"p99 of a healthy client beside them, over alone ({shared})",
            )  # fmt: skip
        sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
        from servers import server_process

        with server_process(home, names=["sizes"]) as (_, port):
            seconds, codes = asyncio.run(billion(port))
        row(
            "hostile-input-billion", 1000 * float(np.median(seconds)), "ms", len(seconds),
            f"until a network of 10^9 numbers is refused ({codes}), median, 5th and 95th percentile ({shared})",
            1000 * float(np.percentile(seconds, 5)), 1000 * float(np.percentile(seconds, 95)),
        )  # fmt: skip
    finally:
        shutil.rmtree(root, ignore_errors=True)
    write_rows("serving", rows)


if __name__ == "__main__":
    main()
