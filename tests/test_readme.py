"""Every command in README.md is executed; long ones in a short form that is listed here."""

import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.references import tables

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)

# What is put behind a command so that it ends soon; a later option outdoes an earlier one.
SHORT = {
    "make": ["--dry-run"],
    "reverie run": ["--frames", "2_000", "--tracking", "off"],
    "reverie evaluate": ["--episodes", "1"],
    "reverie play": ["--max-frames", "240"],
    "reverie dream": ["--steps", "8"],
}


def commands() -> list[str]:
    found = [line.split("  #")[0].strip() for block in BLOCK.findall(README)
             for line in block.splitlines()]  # fmt: skip
    return [line for line in found if line]


def short(words: list[str]) -> list[str]:
    more = SHORT.get(words[0], SHORT.get(" ".join(words[:2]), []))
    if words[:2] == ["reverie", "run"]:
        options = dict(itertools.pairwise(words))
        label = words[2] + "".join(f"+{options['--block']}" for _ in {"--block"} & set(options))
        run = f"runs/{options['--suite']}/{label}/{options['--game']}/{options['--seed']}"
        # In its place, though a debug run: later commands of the README look there.
        more = [*more, "--out", run] if "--set" not in words else more
    return words + more


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder that is the checkout, with runs and results of its own."""
    folder = tmp_path_factory.mktemp("checkout")
    for path in ROOT.iterdir():
        if path.name not in {"runs", "results", ".snakemake", "mlflow.db", ".git"}:
            (folder / path.name).symlink_to(path)
    scores(folder / "scores.csv")
    return folder


def scores(file: Path) -> None:
    """Writes what somebody might import: ten seeds of every game, all but DreamerV3's scores."""
    rows = [
        f"theirs,{each.game},{seed},395000,{each.score * (1 + 0.001 * seed)!r}"
        for each in tables.published("atari100k", "dreamerv3")
        for seed in range(10)
    ]
    file.write_text("\n".join(["agent,game,seed,frame,return", *rows]) + "\n")


def test_the_commands_of_the_readme_work_in_their_order(checkout: Path) -> None:
    bin_folder = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": bin_folder + os.pathsep + os.environ["PATH"]}
    assert len(commands()) > 10
    for line in commands():
        words = short(shlex.split(line))
        done = subprocess.run(
            words, cwd=checkout, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"


def test_the_readme_shows_the_tree_as_it_is() -> None:
    tree = README.split("## Where things are")[1].split("```")[1]
    for line in tree.strip().splitlines():
        assert (ROOT / line.split()[0]).exists(), line


def test_every_link_of_the_readme_resolves() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_the_readme_states_what_is_no_goal() -> None:
    text = README.split("Non-goals:")[1].split("\n\n")[0]
    for word in ("Weights & Biases", "DeepMind Control", "continuous actions"):
        assert word in " ".join(text.split()), word
