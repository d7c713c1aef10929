"""The map of the project: suite -> train -> collect -> aggregate -> figures -> report.

snakemake --profile local --config suite=atari100k agents=ppo,dreamer_ppo
snakemake --profile local --config suite=atari100k --dry-run
snakemake --profile local --config suite=atari100k rerun=stale tracking=off
"""

from launch import flow

sweep = flow.Sweep(config, workflow)  # Which runs there are, and which of them are finished.


localrules:  # Seconds each, and nothing that a cluster should be asked for.
    all,
    collect,
    aggregate,
    figures,
    report,


rule all:
    input:
        lambda _: sweep.targets,


include: "launch/rules/train.smk"  # One process a run; its receipt is all that is declared.
include: "launch/rules/analysis.smk"  # Receipts -> scores -> aggregates -> figures -> report.


onstart:
    sweep.begin()


onsuccess:
    sweep.end()


onerror:
    sweep.fail()
