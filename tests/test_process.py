"""Memory that was freed is kept when asked to be, and given back when asked to be."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
from pathlib import Path
import torch
from netwright.process import keep_freed_memory, release_freed_memory

def held():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) // 1024

assert keep_freed_memory()
block, gap = torch.ones(50_000_000), torch.ones(1_000)
full = held()
del block
kept = held()
release_freed_memory()
print(full, kept, held())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_freed_memory_is_kept_until_it_is_released():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True
    )
    full, kept, released = map(int, done.stdout.split())
    assert full - kept < 20
    assert kept - released > 180
