"""A run that needs more time than the partition gives: it ends over several allocations."""

import subprocess
import sys
import time

import pytest

from tests.cluster.conftest import ROOT, Site
from tests.cluster.test_sweeps import ledger

pytestmark = pytest.mark.slow

FRAMES = 130_000  # More than fits before the warning, in a minute that is Slurm's shortest limit.
RUN = "runs/long/ppo/pong/0"


def with_long_suite(site: Site) -> None:
    """Adds a suite of one run to a site's own copy of the folder of suites."""
    folder = site.folder / "suites"
    folder.unlink()
    folder.mkdir()
    for path in (ROOT / "suites").iterdir():
        (folder / path.name).symlink_to(path)
    text = (ROOT / "suites/smoke.yaml").read_text()
    text = text.replace("frames: 8_192", f"frames: {FRAMES}")
    text = text.replace("games: [catch, pong]", "games: [pong]")
    (folder / "long.yaml").write_text(text)


def undisturbed(site: Site) -> str:
    """Returns the episodes of the run in one piece, beside the sweep's."""
    words = ("run", "ppo", "--suite", "long", "--game", "pong", "--tracking", "off")
    folder = site.folder / "whole"
    subprocess.run(
        [sys.executable, "-m", "launch.cli", *words, "--out", str(folder)], cwd=site.folder,
        env=site.environment, stderr=subprocess.DEVNULL, timeout=900, check=True,
    )  # fmt: skip
    return (folder / "episodes.jsonl").read_text()


def test_a_run_longer_than_the_limit_ends_over_several_allocations_as_if_in_one(
    site: Site,
) -> None:
    with_long_suite(site)
    main = site.start(
        "--profile", "slurm", "--config", "suite=long", "agents=ppo",
        "--submitit-minutes", "1", "--submitit-delay-s", "30",
    )  # fmt: skip
    until = time.monotonic() + 900
    while main.poll() is None and time.monotonic() < until:
        site.cluster.hurry()
        time.sleep(1)
    assert main.poll() == 0, main.communicate(timeout=60)[0]
    said = (site.folder / RUN / "provenance.json").read_text()
    assert said.count('"stopped"') >= 1, "the time must have run out at least once"
    submissions = [line for line in ledger(site) if line["event"] == "submitted"]
    assert len(submissions) == 1, "Slurm starts the same job again"
    assert site.mlflow_runs() == ["pong"]
    assert (site.folder / RUN / "episodes.jsonl").read_text() == undisturbed(site)
