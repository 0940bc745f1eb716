"""Saved things of every kind, and ways to damage them or to make them by hand."""

import io
import json
import os
import pickle
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import trainings
from making import (
    make_condition,
    make_picture_condition,
    make_picture_hypernetwork,
    make_vector_hypernetwork,
)
from torch import nn

import netwright as nw
from netwright.artifacts import (
    digest,
    new_key,
    read_artifact,
    sign_folder,
    tensors_from_bytes,
    verify_folder,
)  # fmt: skip
from netwright.registry import Registry
from netwright.tabular import TableWriter
from netwright.training import Checkpoints, load_writer


@dataclass(frozen=True)
class Subject:
    """Something that was saved, and what reads all of it."""

    name: str
    folder: Path
    load: Callable[[], object]

    @property
    def files(self) -> list[Path]:
        """Its files, sorted."""
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


def subjects(root: Path) -> list[Subject]:
    """One of every kind, saved below `root`."""
    rng = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pictures = make_picture_hypernetwork("layer-tokens")
        vectors = make_vector_hypernetwork("low-rank")
        noisy = nw.Hypernetwork(
            vectors.child, [nw.conditioners.Examples((3,), size=16, outputs=2, channels=16), nw.conditioners.Noise(5, size=16)], "dense"
        )  # fmt: skip
        low = nw.Child(
            nw.architectures.mlp(inputs=3, hidden=(24, 24), outputs=2),
            emissions=[("linear2.weight", nw.LowRank(3))],
        )
        lora = nw.Hypernetwork(
            nw.Child(nn.Sequential(nn.Linear(3, 4)), emissions=[("0.weight", nw.LowRank(2, "frozen")), ("*", "frozen")]),
            nw.conditioners.Context([0.0], [1.0]), "dense",
        )  # fmt: skip
        table = TableWriter(size=16, hidden=8, depth=1)
        params = low.initial_params(40)
    network = vectors.generate(make_condition(1, rng, "examples"))
    network.save(root / "network")
    new_key(root / "key.pem")
    pictures.generate(make_picture_condition(1, 3, 2, rng)).save(root / "signed-network")
    sign_folder(root / "signed-network", root / "key.pem")
    noisy.generate_ensemble(
        make_condition(1, rng, "examples"), samples=3, rng=rng, averages="values"
    ).save(root / "ensemble")
    vectors.save_pretrained(root / "hypernetwork")
    table.save_pretrained(root / "table-hypernetwork")
    bank = nw.NetworkBank(low)
    bank.add([f"n{i}" for i in range(40)], params)
    bank.save(root / "bank", shard_bytes=20_000)
    lora.generate_lora(nw.Condition(context=torch.rand(1, 1))).save(root / "adapter")
    trainings.run(root / "run")
    checkpoints = Checkpoints(root / "run")
    url = f"sqlite:///{root}/registry.db"
    Registry(url, root / "registry").add_many([network] * 3, network_ids=["a", "b", "c"])

    def read_run() -> None:
        for step in checkpoints.steps():
            found = checkpoints.read(step)
            tensors_from_bytes(found.files["optimiser.safetensors"])
        load_writer(root / "run")

    def read_registry() -> None:
        registry = Registry(url, root / "registry")
        registry.get_many(["a", "b", "c"])
        registry.close()

    def of(name: str, load: Callable[[], object], folder: str = "") -> Subject:
        return Subject(name, root / (folder or name), load)

    return [
        of("network", lambda: nw.load_network(root / "network")),
        of("signed-network", lambda: nw.load_network(root / "signed-network")),
        of("ensemble", lambda: nw.load_ensemble(root / "ensemble")),
        of("hypernetwork", lambda: nw.Hypernetwork.from_pretrained(root / "hypernetwork")),
        of("table-hypernetwork", lambda: TableWriter.from_pretrained(root / "table-hypernetwork")),
        of("bank", lambda: nw.NetworkBank.load(root / "bank")),
        of("adapter", lambda: verify_folder(root / "adapter")),
        of("checkpoints", read_run, "run/checkpoints"),
        of("registry", read_registry),
    ]


def flips(subject: Subject, count: int, rng: random.Random) -> Iterator[tuple[Path, bytes]]:
    """Files of a subject, each with one bit turned over; files take turns."""
    files = subject.files
    for i in range(count):
        path = files[i % len(files)]
        data = bytearray(path.read_bytes())
        bit = rng.randrange(8 * len(data))
        data[bit // 8] ^= 1 << (bit % 8)
        yield path, bytes(data)


def truncations(path: Path, most: int, rng: random.Random) -> Iterator[bytes]:
    """A file cut to every length, or to `most` lengths of a larger one, first and last ones always."""
    data = path.read_bytes()
    lengths = list(range(len(data)))
    if len(lengths) > most:
        ends = [*range(40), *range(len(data) - 40, len(data))]
        lengths = sorted({*ends, *rng.sample(lengths, most - len(ends))})
    for length in lengths:
        yield data[:length]


def forge(folder: Path, kind: str, files: dict[str, bytes]) -> None:
    """A folder of whatever files, with a manifest that is right about them, whatever their names."""
    import hashlib

    listed = {
        n: {"bytes": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in files.items()
    }
    manifest = {"kind": kind, "format": 1, "files": listed}
    manifest["sha256"] = digest(manifest)
    hidden = ("", ".", "..")
    plain = {
        n: d for n, d in files.items() if Path(n).name == n and n not in hidden and "\0" not in n
    }
    fill(folder, {**plain, "manifest.json": json.dumps(manifest, indent=2).encode()})


def fill(folder: Path, files: dict[str, bytes]) -> None:
    """Make a folder hold these files and no others."""
    for path in folder.iterdir():
        path.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)


def artifact_files(subject: Subject) -> tuple[Path, str, dict[str, bytes]]:
    """A folder of a subject that has a manifest, its kind, and the files that the manifest lists."""
    folder = sorted(path.parent for path in subject.folder.rglob("manifest.json"))[-1]
    kind = json.loads((folder / "manifest.json").read_bytes())["kind"]
    return folder, kind, read_artifact(folder, kind)


def crafted_headers(subject: Subject) -> Iterator[tuple[str, Callable[[], None]]]:
    """What writes each of the headers in place of a subject's tensors, its manifest right about them."""
    folder, kind, files = artifact_files(subject)
    name = next(n for n in files if n.endswith(".safetensors") and "shared" not in n)
    for what, data in headers(files[name]).items():
        yield what, lambda d=data: forge(folder, kind, {**files, name: d})  # type: ignore[misc]


def traversals(subject: Subject) -> Iterator[tuple[str, Callable[[], None]]]:
    """What writes manifests that list names which lead elsewhere."""
    folder, kind, files = artifact_files(subject)
    for name in TRAVERSALS:
        yield name, lambda n=name: forge(folder, kind, {**files, n: b"canary"})  # type: ignore[misc]


def disguises(subject: Subject, canary: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """What writes a pickle in place of each file that is read as tensors or as a record, and of the manifest."""
    folder, kind, files = artifact_files(subject)
    for i, data in enumerate(pickles(canary)):
        for name in files:
            if name.endswith((".safetensors", ".json")):
                yield f"{i} as {name}", lambda n=name, d=data: forge(folder, kind, {**files, n: d})  # type: ignore[misc]
        yield (
            f"{i} as manifest.json",
            lambda d=data: fill(folder, {**files, "manifest.json": d}),  # type: ignore[misc]
        )


def headers(whole: bytes) -> dict[str, bytes]:
    """Sixty and more safetensors files that are none, made of one that is."""
    length = struct.unpack("<Q", whole[:8])[0]
    header, body = json.loads(whole[8 : 8 + length]), whole[8 + length :]
    header.pop("__metadata__", None)
    names = sorted(header, key=lambda n: header[n]["data_offsets"][0])
    first, second = names[0], names[1]
    size = len(body)

    def told(text: str | bytes, rest: bytes = body, says: int | None = None) -> bytes:
        data = text if isinstance(text, bytes) else text.encode()
        return struct.pack("<Q", len(data) if says is None else says) + data + rest

    def with_(name: str = first, **changes: object) -> bytes:
        one = {k: v for k, v in {**header[name], **changes}.items() if v != "leave out"}
        return told(json.dumps({**header, name: one}))

    def raw(old: str, new: str) -> bytes:
        text = json.dumps(header)
        assert old in text
        return told(text.replace(old, new, 1))

    offsets = json.dumps(header[first]["data_offsets"])
    begin, end = header[first]["data_offsets"]
    shape = header[first]["shape"]
    text = json.dumps(header)
    record = json.dumps(header[first])
    renamed = {f"{n}x" if n == first else n: v for n, v in header.items()}
    return {
        "empty": b"", "seven bytes": b"\x02" + bytes(6), "no header": struct.pack("<Q", 0) + body,
        "length beyond the file": told(text, says=len(whole)), "length 2^63": told(text, says=2**63),
        "length 2^64-1": told(text, says=2**64 - 1), "length 100 MB": told(text, says=100_000_001),
        "length one short": told(text, says=len(text) - 1), "length one long": told(text, says=len(text) + 1),
        "empty header": told("{}"), "list": told("[]"), "null": told("null"), "number": told("7"), "text": told('"x"'),
        "no text": told(b"\xff\xfe" + text.encode()), "mark before": told(b"\xef\xbb\xbf" + text.encode()),
        "deep list": told("[" * 100_000 + "]" * 100_000), "deep mapping": told('{"a":' * 50_000 + "1" + "}" * 50_000),
        "deep shape": raw(f'"shape": {json.dumps(shape)}', '"shape": ' + "[" * 50_000 + "]" * 50_000),
        "NaN offset": raw(offsets, f"[NaN, {end}]"), "infinite offset": raw(offsets, f"[{begin}, Infinity]"),
        "1e999 offset": raw(offsets, f"[{begin}, 1e999]"), "NaN shape": raw(f'"shape": {json.dumps(shape)}', '"shape": [NaN]'),
        "NaN beside": told(text[:-1] + ', "__metadata__": {"x": NaN}}'),
        "negative offset": with_(data_offsets=[-4, end]), "offsets the other way": with_(data_offsets=[end, begin]),
        "overlap": with_(second, data_offsets=header[first]["data_offsets"]), "gap": with_(data_offsets=[begin + 4, end]),
        "beyond the end": with_(names[-1], data_offsets=[size - 4, size + 4]),
        "offset 2^63": with_(data_offsets=[2**63 - 4, 2**63]), "offset 2^70": with_(data_offsets=[0, 2**70]),
        "offset in parts": with_(data_offsets=[begin, end - 0.5]), "offset as text": with_(data_offsets=["0", str(end)]),
        "offset as truth": with_(data_offsets=[False, end]), "no offsets": with_(data_offsets=None),
        "one offset": with_(data_offsets=[0]), "three offsets": with_(data_offsets=[0, end, end]),
        "negative shape": with_(shape=[-1, *shape[1:]]), "shape 2^63": with_(shape=[2**63]),
        "shape that overflows": with_(shape=[2**33, 2**33]), "shape in parts": with_(shape=[1.5]),
        "shape as text": with_(shape=["4"]), "no shape": with_(shape=None), "shape left out": with_(shape="leave out"),
        "larger shape": with_(shape=[shape[0] + 1, *shape[1:]]), "other shape": with_(shape=[*shape, 1]),
        "dtype left out": with_(dtype="leave out"), "dtype unknown": with_(dtype="os.system"),
        "dtype in small letters": with_(dtype="f32"), "no dtype": with_(dtype=None), "dtype of whole numbers": with_(dtype="I32"),
        "dtype of half the size": with_(dtype="F16"), "a name twice": told(f'{text[:-1]}, "{first}": {record}}}'),
        "a key twice": raw(f'"{first}": {{', f'"{first}": {{"dtype": "I32", '),
        "metadata of numbers": told(text[:-1] + ', "__metadata__": {"x": 1}}'),
        "metadata as a list": told(text[:-1] + ', "__metadata__": []}'),
        "a tensor left out": told(json.dumps({n: v for n, v in header.items() if n != names[-1]})),
        "a tensor renamed": told(json.dumps(renamed)), "bytes behind": told(text, body + b"\0"), "bytes cut": told(text, body[:-1]),
        "a tensor added": told(json.dumps({**header, "more": {"dtype": "F32", "shape": [0], "data_offsets": [size, size]}})),
        "100,000 empty tensors": told(json.dumps({str(i): {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(100_000)}), b""),
    }  # fmt: skip


TRAVERSALS = [
    "../canary", "../../canary", "/etc/passwd", "/tmp/canary", "..", ".", "", "./canary", "a/b", "a/../../canary", "..\\canary",
    "C:\\canary", "C:canary", "\\\\host\\share", "a\\b", "canary\0", "\0", "~/../canary/..", "manifest.json",
    "signature.json", "../manifest.json", "a/", "/", "//canary", "..//canary", ".../../canary", "config.json/../canary",
    "a:b", "file:///canary", "..;/canary",
]  # fmt: skip


class Canary:
    """When it is unpickled the canary is touched."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def pickles(canary: Path) -> list[bytes]:
    """Ten pickles in disguise, each of which touches the canary when it is read as one."""
    bird = Canary(canary)
    saved = io.BytesIO()
    torch.save({"x": bird}, saved)
    old = io.BytesIO()
    torch.save({"x": bird}, old, _use_new_zipfile_serialization=False)
    protocols = [pickle.dumps(bird, protocol) for protocol in range(6)]
    behind = struct.pack("<Q", 2) + b"{}" + pickle.dumps(bird)
    before = pickle.dumps(bird) + struct.pack("<Q", 2) + b"{}"
    return [*protocols, saved.getvalue(), old.getvalue(), behind, before]
