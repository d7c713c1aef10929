"""What every test starts from: one thread, no screen, nobody's tracking server."""

import os
import signal
from pathlib import Path

import pytest

# Before NumPy or torch is imported, here and in every process that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["MPLBACKEND"] = "Agg"
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # Started in the background by a shell: programs that tests start would ignore Ctrl-C too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
for _name in [name for name in os.environ if name.startswith(("MLFLOW_", "SNAKEMAKE_", "SLURM_"))]:
    del os.environ[_name]  # A test that tracked would write to the developer's own server.


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds Snakefile and pyproject.toml."""
    return Path(__file__).parents[1]
