"""Where a result comes from: right in and outside git, and without secrets."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from launch import provenance

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "code.py").write_text("a = 1\n")
    (folder / ".gitignore").write_text("runs/\n")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=n", "-c", "user.email=e@x", "commit", "-q", "-m", "first")
    return folder


def git(folder, *words):
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_clean_checkout_names_its_commit(checkout):
    head = git(checkout, "rev-parse", "HEAD")
    assert provenance.commit(checkout) == {"commit": head, "dirty": False}
    assert provenance.commit(checkout / "code.py") == {"commit": head, "dirty": False}


def test_the_repository_of_a_hook_that_runs_us_is_not_taken_for_ours(checkout, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(checkout.parent / "elsewhere"))
    assert provenance.commit(checkout)["commit"]


def test_a_changed_file_makes_it_dirty(checkout):
    (checkout / "code.py").write_text("a = 2\n")
    assert provenance.commit(checkout)["dirty"] is True


def test_a_new_file_makes_it_dirty_but_what_runs_write_does_not(checkout):
    (checkout / "runs").mkdir()
    (checkout / "runs" / "log.txt").write_text("x")
    assert provenance.commit(checkout)["dirty"] is False
    (checkout / "agent.py").write_text("a = 2\n")
    assert provenance.commit(checkout)["dirty"] is True


def test_outside_git_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.commit(tmp_path) == {"commit": None, "dirty": None}
    assert provenance.collect(tmp_path)["python"] == ".".join(map(str, sys.version_info[:3]))


def test_a_repository_without_a_commit_has_none(tmp_path):
    git(tmp_path, "init", "-q")
    assert provenance.commit(tmp_path) == {"commit": None, "dirty": None}


def test_without_git_the_commit_is_unknown(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout))
    assert provenance.commit(checkout) == {"commit": None, "dirty": None}


def test_packages_are_the_installed_ones():
    found = provenance.packages()
    assert found["numpy"] == np.__version__
    assert {"pydantic", "pyyaml", "pillow"} <= set(found)
    assert list(found) == sorted(found)


def test_the_machine_is_this_one():
    facts = provenance.machine()
    assert facts["cores"] == os.cpu_count()
    assert 1 <= facts["usable_cores"] <= facts["cores"]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert facts["memory_gib"] == pytest.approx(pages / 2**30, rel=0.05)
    assert facts["cpu"]


def test_gpus_are_read_from_the_driver_without_starting_anything(tmp_path):
    for slot, model in [("0000:1b:00.0", "NVIDIA A100"), ("0000:af:00.0", "NVIDIA H200")]:
        (tmp_path / "gpus" / slot).mkdir(parents=True)
        text = f"Model: \t\t {model}\nIRQ:   \t\t 16\n"
        (tmp_path / "gpus" / slot / "information").write_text(text)
    (tmp_path / "version").write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Thu Jan 23 2025\n"
    )
    assert provenance._gpus(tmp_path) == ["NVIDIA A100", "NVIDIA H200"]
    assert provenance._driver(tmp_path) == "570.86.15"
    assert provenance._gpus(tmp_path / "none") == []


def test_secrets_of_the_environment_and_the_remote_stay_out(checkout, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-environment")
    monkeypatch.setattr(sys, "argv", ["reverie", "--token=hush-argument"])
    git(checkout, "remote", "add", "origin", "https://user:hush-remote@example.org/x.git")
    text = json.dumps(provenance.collect(checkout))
    assert "hush" not in text


def test_collecting_imports_nothing_heavy():
    code = (
        "import sys, pathlib; from launch import provenance; provenance.collect(pathlib.Path());"
        "print([m for m in ('numpy', 'torch', 'mlflow', 'pydantic', 'yaml') if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"
