"""Whether Slurm would take the jobs of a sweep: `sbatch --test-only`, which starts nothing."""

import dataclasses
import os
import subprocess
from collections.abc import Iterable, Iterator

from snakemake_executor_plugin_submitit import ExecutorSettings, bucket, slurm

from launch import plan
from launch.doctor.finding import Finding, brief

ANSWER_S = 30.0
COMMENTARY = ("sbatch: error: ", "sbatch: ", "allocation failure: ")


def asks(settings: ExecutorSettings, gpus: bool) -> dict[bucket.Ask, list[str]]:
    """Returns what runs ask for, and the agents that do, by `launch/config.yaml`."""
    found: dict[bucket.Ask, list[str]] = {}
    for agent, one in plan.defaults().resources.items():
        wanted = {"mem_mb": one.mem_mb, "gpu": one.gpu if gpus else 0}
        found.setdefault(bucket.ask(one.threads, wanted, vars(settings), 0), []).append(agent)
    return found


def submissions(settings: ExecutorSettings, gpus: bool) -> Iterator[Finding]:
    """Says which agents' runs Slurm would refuse, and why."""
    taken = []
    for ask, agents in asks(settings, gpus).items():
        names = ", ".join("other agents" if name == "default" else name for name in agents)
        if refusal := refused(ask):
            yield Finding(
                "FAIL", "submission", f"{names}: {said(ask)}: {refusal}",
                "see launch/config.yaml for what runs ask, the profile for where they go",
            )  # fmt: skip
        else:
            taken.append(names)
    if taken:
        yield Finding("ok", "submission", f"Slurm would take {', '.join(taken)}")


def devices(groups: Iterable[str], settings: ExecutorSettings) -> Iterator[Finding]:
    """Says which graphics processors nodes have, and how a job may ask for one.

    Args:
        groups: lines `gres|nodes` of sinfo.
        settings: of the executor.
    """
    cells = [line.partition("|") for line in groups]
    there = {gres: nodes for gres, _, nodes in cells if "gpu" in gres}
    if not there:
        yield Finding("left out", "gpus", "no node has gres of name gpu: runs use processors")
        return
    fact = ", ".join(f"{nodes} nodes with {gres}" for gres, nodes in there.items())
    plain = bucket.ask(1, {"mem_mb": 1000}, vars(settings), 0)
    forms = {
        "--gpus-per-node=1": refused(dataclasses.replace(plain, gpus=1)),
        "--gres=gpu:1": refused(dataclasses.replace(plain, gres="gpu:1")),
    }
    good = [form for form, refusal in forms.items() if not refusal]
    if forms["--gpus-per-node=1"]:
        other = "; --gres=gpu:1 is taken" if good else ""
        yield Finding(
            "FAIL", "gpus", f"{fact}; --gpus-per-node=1: {forms['--gpus-per-node=1']}{other}",
            "runs ask by --gpus-per-node: name a partition with --partition that takes it",
        )  # fmt: skip
    else:
        yield Finding("ok", "gpus", f"{fact}; taken: {' and '.join(good)}")


def refused(ask: bucket.Ask) -> str:
    """Returns why Slurm would not take a job; nothing if it would."""
    options = [
        f"--{name.replace('_', '-')}={value}" for name, value in ask.parameters(1, False).items()
    ]
    with slurm.unnested():
        environ = dict(os.environ)
    try:
        done = subprocess.run(
            ["sbatch", "--test-only", "--requeue", *options, "--wrap", "true"], env=environ,
            capture_output=True, text=True, timeout=ANSWER_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return brief(str(error))
    return spoken(done.stderr or done.stdout) if done.returncode else ""


def spoken(text: str) -> str:
    """Returns the reasons in what sbatch said, each once."""
    lines = []
    for line in text.splitlines():
        for word in COMMENTARY:
            line = line.removeprefix(word)
        lines.append(line.strip())
    return brief("; ".join(dict.fromkeys(filter(None, lines)))) or "refused without a reason"


def said(ask: bucket.Ask) -> str:
    """Says what a job asks for."""
    devices = f", {ask.gpus} GPU" if ask.gpus else ""
    cores = "1 core" if ask.cores == 1 else f"{ask.cores} cores"
    return f"{cores}, {ask.memory_mb} MB{devices}, {ask.minutes} minutes"
