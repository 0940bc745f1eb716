"""Memory that was freed is given back when asked to be, unless it is to be kept."""

import platform
import subprocess
import sys

import pytest

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
