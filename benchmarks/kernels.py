"""Kernels of convolutions compiled anew, and kept: networks of many architectures, forward and backward.

    python benchmarks/kernels.py           # about two minutes

Each measurement is a process of its own, since oneDNN reads how many kernels it is to keep at its first one. `kept` is what the command line sets.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

COMMAND = "python benchmarks/kernels.py"
ROUNDS, NETWORKS, PICTURES = 3, 400, 32
MEASURE = """
import json, sys, time
sys.path.insert(0, {folder!r})
from netwright.process import keep_freed_memory, keep_kernels
keep_freed_memory()
if {kept}: keep_kernels()
import torch
torch.set_num_threads(1)
from architectures_pictures import conv_family
from netwright.rng import stream
own, rng = conv_family(), stream(0, "kernels")
x = torch.randn({pictures}, 1, 28, 28)
drawn = [own.space.sample(rng, split="train", most=own.most) for _ in range({networks})]
networks = [architecture.build() for architecture in drawn]
for again in range(2):
    started = time.process_time()
    for network in networks:
        network(x).square().mean().backward()
    spent = time.process_time() - started
held = int(open("/proc/self/status").read().split("VmRSS:")[1].split()[0]) / 1024
print(json.dumps([1000 * spent / len(networks), held]))
"""


def measured(*, kept: bool) -> tuple[float, float]:
    """CPU-ms per network the second time each is met, and MB that the process holds."""
    code = MEASURE.format(
        folder=str(Path(__file__).parent), kept=kept, pictures=PICTURES, networks=NETWORKS
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith("ONEDNN_")}
    env["OMP_NUM_THREADS"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=env
    )
    spent, held = json.loads(done.stdout)
    return spent, held


def main() -> None:
    """Run and write."""
    pairs = [(measured(kept=False), measured(kept=True)) for _ in range(ROUNDS)]
    ratios = [anew[0] / kept[0] for anew, kept in pairs]
    anew, kept = (statistics.median(pair[i][0] for pair in pairs) for i in (0, 1))
    more = statistics.median(pair[1][1] - pair[0][1] for pair in pairs)
    note = (
        f"forward and backward of {NETWORKS} convolutional networks on {PICTURES} pictures, one after the other, the second time: compiled anew "
        f"{anew:.1f} CPU-ms each, kept {kept:.1f}; {more:.0f} MB more held"
    )
    ends = (min(ratios), max(ratios))
    rows = [Row("exec-kernels-kept", statistics.median(ratios), *ends, "times faster than anew", True, ROUNDS, [0], 0.0, COMMAND, note)]  # fmt: skip
    write_rows("kernels", rows)


if __name__ == "__main__":
    main()
