"""Settings of a whole process that training needs to be fast; a library does not make them unasked."""

import ctypes
import os
import platform
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_KEEP_ALL = 2**31 - 1
# Each takes some 20 kB, where it is used.
_KERNELS = 32_768
# What this process was asked for: its allocator is set once and for all.
_asked: set[str] = set()


def keep_freed_memory() -> bool:
    """Let glibc keep memory that was freed; True if it does.

    A training step frees and takes large blocks again. Given back to the system each time, every page is
    faulted in anew: up to half of a small step's time, on some virtual machines more.
    The process then stays as large as it once was.
    """
    if not _is_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    kept = bool(mallopt(_M_TRIM_THRESHOLD, _KEEP_ALL) and mallopt(_M_MMAP_MAX, 0))
    if kept:
        _asked.add("keep")
    return kept


def release_freed_memory() -> None:
    """Have glibc give freed memory back to the system, before something large of another kind is taken.

    Blocks of one size leave gaps that blocks of another do not fit. Does nothing where
    `keep_freed_memory` was called: there speed was asked for, and faulting all of it in again at every step
    would cost up to half of it.
    """
    if _is_glibc() and not _asked:
        ctypes.CDLL(None).malloc_trim(0)


def bound_spinning() -> None:
    """Let OpenMP's threads wait by spinning for a short while only; call before torch is imported.

    libgomp spins while it waits: with a core taken by another process two threads are then ten times slower
    than one. A short spin keeps the gain of an idle machine and bounds the loss. What the user has set stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def keep_kernels() -> None:
    """Let oneDNN keep the kernels of more shapes than 1,024; call before the first convolution.

    It compiles a kernel for each shape of a convolution and for each of its gradients, and forgets the one unused for longest.
    Training over networks of many architectures comes by a shape again only after thousands of others: it would compile
    nearly each of them anew, in about the time that the convolutions take. What the user has set stays.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_KERNELS))


@cache
def _is_glibc() -> bool:
    # It reads the interpreter's file: too slow for every step.
    return platform.libc_ver()[0] == "glibc"
