"""Compiled kernels for the processor: found, built and called; torch does without them.

The source is plain C and is compiled for this very processor the first time, in some seconds, into
the user's cache. Where there is no compiler, or REVERIE_NATIVE is 0, `kernels` returns None and
every door falls back to its twin in torch operations; the last bits of results differ between the
two.
"""

import ctypes
import functools
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

FOLDER = Path(__file__).parent
# Sums may be reordered, which vectorises them; NaN and infinity keep their meaning.
FLAGS = [
    "-O2",
    "-ftree-vectorize",
    "-fvect-cost-model=dynamic",
    "-march=native",
    "-std=gnu11",
    "-fPIC",
    "-shared",
    "-Wno-psabi",
]
FLAGS += ["-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math"]
KINDS = {torch.float32: "float32", torch.bfloat16: "bfloat16"}
PIECES = 16  # Ranges of rows: as many however many threads there are, so sums are the same.


@functools.cache
def kernels() -> ctypes.CDLL | None:
    """Returns the kernels, building them first if need be; None where that is not possible."""
    compiler = next(filter(shutil.which, [os.environ.get("CC") or "cc", "gcc", "clang"]), None)
    if os.environ.get("REVERIE_NATIVE") == "0" or not compiler:
        return None
    sources = {path.name: path.read_bytes() for path in sorted(FOLDER.glob("*.[ch]"))}
    path = cache() / f"kernels-{digest(compiler, sources)}.so"
    try:
        if not path.exists():
            build(compiler, sources, path)
        return ctypes.CDLL(str(path))
    except (OSError, subprocess.CalledProcessError) as error:
        text = getattr(error, "stderr", None) or error
        print(f"note: no compiled kernels, which is slower ({text})", file=sys.stderr)
        return None


def cache() -> Path:
    """Returns the folder of built libraries."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "reverie"


def digest(compiler: str, sources: Mapping[str, bytes]) -> str:
    """Returns a name for what is built: by source, flags, compiler and processor."""
    parts = list(sources.values())
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    flags = [line for line in lines if line.startswith("flags")][:1]
    parts += [" ".join(FLAGS).encode(), version, "".join(flags).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def build(compiler: str, sources: Mapping[str, bytes], path: Path) -> None:
    """Compiles beside the target and renames, so that two processes may do it at once.

    What is compiled is what was read for the name, even if the files have changed since.
    """
    print("note: building kernels for this processor, once; some seconds", file=sys.stderr)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        aside = Path(folder) / path.name
        for name, content in sources.items():
            (Path(folder) / name).write_bytes(content)
        words = [compiler, *FLAGS, f"{folder}/kernels.c", "-o", str(aside), "-lm"]
        subprocess.run(words, check=True, capture_output=True, text=True)
        aside.replace(path)


def usable(*tensors: Tensor) -> bool:
    """Tells whether the kernels can take these tensors."""
    fit = all(each.device.type == "cpu" and each.is_contiguous() for each in tensors)
    return fit and kernels() is not None


def call(
    name: str,
    rows: int,
    least: int,
    tensors: Sequence[Tensor],
    sizes: Sequence[int | float],
    sums: Tensor | None = None,
) -> None:
    """Runs a kernel over ranges of rows, side by side where torch may use several threads.

    Args:
        name: of the kernel. It takes tensors, a row of `sums`, first row and end, sizes.
        rows: how many.
        least: rows that are worth a range of their own.
        tensors: contiguous, on the processor.
        sizes: whole numbers and fractions, as the kernel names them.
        sums: (ranges, ...), a row for each range to add to.
    """
    kernel, fixed = getattr(kernels(), name), [at(tensor) for tensor in tensors]
    after = [ctypes.c_float(x) if isinstance(x, float) else ctypes.c_int64(x) for x in sizes]
    work = []
    for piece, (start, end) in enumerate(ranges(rows, least)):
        own = [] if sums is None else [at(sums[piece])]
        work.append((*fixed, *own, ctypes.c_int64(start), ctypes.c_int64(end), *after))
    if torch.get_num_threads() == 1 or len(work) == 1:
        for each in work:
            kernel(*each)
        return
    list(pool(torch.get_num_threads()).map(lambda each: kernel(*each), work))


def ranges(rows: int, least: int) -> list[tuple[int, int]]:
    """Returns the ranges that a number of rows is cut into."""
    count = max(1, min(PIECES, rows // least))
    return list(itertools.pairwise(rows * piece // count for piece in range(count + 1)))


@functools.cache
def pool(threads: int) -> ThreadPoolExecutor:
    """Returns threads; the kernels let go of the interpreter while they run."""
    return ThreadPoolExecutor(threads)


def at(tensor: Tensor) -> ctypes.c_void_p:
    """Returns where a tensor lies."""
    return ctypes.c_void_p(tensor.data_ptr())


def keep_memory() -> None:
    """Lets the C library keep large blocks that were freed, instead of asking for them anew.

    An update allocates the same tens of megabytes again and again; fresh pages from the kernel cost
    more than what is computed in them. Where it is not glibc, nothing happens.
    """
    trim_threshold, mmap_threshold = -1, -3  # Of glibc's malloc.h.
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt") and hasattr(libc, "gnu_get_libc_version"):
            libc.mallopt(mmap_threshold, 1 << 30)
            libc.mallopt(trim_threshold, (1 << 31) - 1)
