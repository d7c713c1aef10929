"""Receipts -> tables of scores -> aggregates -> figures -> report; a step is a process."""

import sys

PYTHON = sys.executable
SUITE = sweep.suite.name
HERE = f"results/{SUITE}"


rule collect:
    input:
        lambda _: sweep.receipts,
    output:
        expand(f"{HERE}/{{table}}.csv", table=["scores", "coverage", "curves"]),
    shell:
        "{PYTHON:q} -m analysis collect {SUITE} {input:q} >/dev/null"


rule aggregate:
    input:
        rules.collect.output,
    output:
        expand(f"{HERE}/{{table}}.csv", table=["aggregates", "profiles", "games"]),
    shell:
        "{PYTHON:q} -m analysis aggregate {SUITE} >/dev/null"


rule figures:
    input:
        rules.collect.output,
        rules.aggregate.output,
    output:
        expand(
            f"{HERE}/figures/{{figure}}.{{kind}}",
            figure=["curves", "aggregates", "profiles"],
            kind=["png", "pdf"],
        ),
    shell:
        "{PYTHON:q} -m analysis figures {SUITE} >/dev/null"


rule report:
    input:
        rules.collect.output,
        rules.aggregate.output,
        rules.figures.output,
    output:
        f"{HERE}/report.html",
    shell:
        "{PYTHON:q} -m analysis report {SUITE} >/dev/null"
