"""Settings of a process: memory that was freed, and kernels that were compiled, are kept where that is asked for."""

import os
import platform
import subprocess
import sys

import pytest
import torch

CAPACITY = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"

SCRIPT = """
import sys
from pathlib import Path
import torch
from netwright.process import keep_freed_memory, release_freed_memory

def held():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) // 1024

if sys.argv[1] == "keep":
    assert keep_freed_memory()
large = torch.ones(50_000_000)
full = held()
del large
freed = full - held()
blocks = [torch.ones(1_000) for _ in range(100_000)]
del blocks[:-1]
before = held()
release_freed_memory()
print(freed, before - held())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
@pytest.mark.parametrize("how", ["default", "keep"])
def test_freed_memory_goes_back_to_the_system_unless_it_is_to_be_kept(how):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], check=True, capture_output=True, text=True
    )
    freed, released = map(int, done.stdout.split())
    if how == "keep":
        assert freed < 20
        assert released < 20
    else:
        assert freed > 180
        assert released > 300


KERNELS = """
import sys
from netwright.process import keep_kernels
if sys.argv[1] == "keep":
    keep_kernels()
import torch
from torch.nn import functional as F

said = torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON_CREATION)
with said:
    for _ in range(2):
        print("again", flush=True)
        for inputs in range(1, 36):
            for outputs in range(1, 32):
                F.conv2d(torch.ones(2, inputs, 5, 5), torch.ones(outputs, inputs, 3, 3))
"""


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="no oneDNN in this torch")
@pytest.mark.parametrize(
    ("how", "set_by_user", "found_again"),
    [("default", {}, 0), ("keep", {}, 35 * 31), ("keep", {CAPACITY: "1024"}, 0)],
)
def test_kernels_of_more_than_a_thousand_shapes_are_compiled_once_if_they_are_to_be_kept(
    how, set_by_user, found_again
):
    env = {k: v for k, v in os.environ.items() if k != CAPACITY} | set_by_user
    done = subprocess.run(
        [sys.executable, "-c", KERNELS, how], check=True, capture_output=True, text=True, env=env
    )
    second = done.stdout.split("again")[2].splitlines()
    convolutions = [line for line in second if "create" in line and ",convolution," in line]
    assert len(convolutions) == 35 * 31
    assert sum("create:cache_hit" in line for line in convolutions) == found_again


def test_the_command_line_asks_for_what_training_needs_to_be_fast():
    script = """
import os, sys
from netwright.cli import main
sys.argv = ["netwright", "--version"]
try:
    main()
except SystemExit:
    print(os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"], "torch" in sys.modules)
"""
    env = {k: v for k, v in os.environ.items() if k != CAPACITY}
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, env=env
    )
    assert done.stdout.split()[-2:] == ["32768", "False"]
