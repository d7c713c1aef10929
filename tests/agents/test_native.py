"""The compiled kernels: found, built, called, and done without."""

import ctypes
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from agents.parts import categorical, native, norms, unimix

needs_kernels = pytest.mark.skipif(native.kernels() is None, reason="needs a C compiler")


def asked(code: str, **more: str) -> subprocess.CompletedProcess:
    """Runs a line of Python in a process of its own."""
    words = [sys.executable, "-c", f"from agents.parts import native\n{code}"]
    return subprocess.run(
        words, env=os.environ | more, capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip


@needs_kernels
def test_kernels_are_built_once_into_the_users_cache(tmp_path: Path) -> None:
    for _ in range(2):
        asked("assert native.kernels() is not None", XDG_CACHE_HOME=str(tmp_path))
        (built,) = (tmp_path / "reverie").iterdir()
        stamp = built.stat().st_mtime_ns
    assert built.stat().st_mtime_ns == stamp
    assert built.name.startswith("kernels-") and built.suffix == ".so"


def test_without_a_compiler_torch_does_the_work(tmp_path: Path) -> None:
    done = asked("print(native.kernels())", PATH=str(tmp_path), CC="", XDG_CACHE_HOME=str(tmp_path))
    assert done.stdout.strip() == "None"
    assert done.stderr == "", "no compiler is no fault"


def test_a_compiler_that_fails_is_told_of_once_and_torch_does_the_work(tmp_path: Path) -> None:
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho no such thing >&2\nexit 1\n")
    broken.chmod(0o755)
    code = "print(native.kernels(), native.kernels())"
    done = asked(code, CC=str(broken), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.stdout.strip() == "None None"
    assert done.stderr.count("no compiled kernels") == 1
    assert "no such thing" in done.stderr
    assert list((tmp_path / "cache" / "reverie").iterdir()) == [], "nothing half-built is left"


def test_they_can_be_turned_off() -> None:
    assert asked("print(native.kernels())", REVERIE_NATIVE="0").stdout.strip() == "None"


@needs_kernels
def test_what_is_built_is_named_by_what_it_was_built_from() -> None:
    sources = {"kernels.c": b"one"}
    assert native.digest("cc", sources) == native.digest("cc", dict(sources))
    assert native.digest("cc", sources) != native.digest("cc", {"kernels.c": b"other"})


def test_ranges_cover_all_rows_and_do_not_depend_on_threads() -> None:
    for rows, least in ((1, 10), (10, 10), (1000, 10), (1001, 3)):
        found = native.ranges(rows, least)
        assert found[0][0] == 0 and found[-1][1] == rows
        assert all(one[1] == other[0] for one, other in itertools.pairwise(found))
        assert len(found) <= native.PIECES


@needs_kernels
def test_two_threads_compute_the_bits_of_one() -> None:
    x = torch.randn(64, 16, 16, 8, requires_grad=True)
    gain = torch.rand(8, requires_grad=True)
    up, before, found = torch.randn(64, 8, 8, 8), torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            y = norms.pool_norm_silu(x, gain)
            found.append((y, *torch.autograd.grad(y, (x, gain), up)))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@needs_kernels
def test_what_lies_otherwise_in_memory_is_left_to_torch() -> None:
    x = torch.randn(8, 6, 4)
    assert native.usable(x) and not native.usable(x.transpose(1, 2))
    other = norms.norm_silu(x.transpose(1, 2), torch.ones(6))
    assert torch.allclose(other, norms.plain_norm_silu(x.transpose(1, 2), torch.ones(6)))


@needs_kernels
def test_draws_are_those_of_torch() -> None:
    logits, uniform = torch.randn(512, 4, 16), torch.rand(512, 4)
    wanted = categorical.choose(unimix.mixed(logits), uniform)
    differ = (unimix.draw(logits, uniform) != wanted).float().mean()
    assert differ < 0.002, "only where a number falls on a border"


def test_freed_memory_is_kept_where_the_library_can() -> None:
    native.keep_memory()
    assert ctypes.CDLL(None) is not None
