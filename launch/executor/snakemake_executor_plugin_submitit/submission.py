"""The one way in which a job is handed to Slurm: the executor's, and that of `reverie doctor`."""

import shlex
import sys
from pathlib import Path

from snakemake_executor_plugin_submitit import runner, slurm
from snakemake_executor_plugin_submitit.bucket import Ask
from snakemake_executor_plugin_submitit.settings import ExecutorSettings

TIMEOUTS = 100_000  # How often a job may run out of time and go on: as often as it needs.


def submit(
    folder: Path, token: str, ask: Ask, tasks: list[list[runner.Task]], settings: ExecutorSettings
) -> list[str]:
    """Calls sbatch and returns ids, one for each list of tasks.

    Args:
        folder: of scripts and logs.
        token: the name of the job in Slurm.
        ask: what each of the jobs asks for.
        tasks: what runs side by side in each of the jobs.
        settings: an ExecutorSettings.

    Raises:
        SlurmError: sbatch failed; Refused, if it always will.
    """
    import cloudpickle
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    cloudpickle.register_pickle_by_value(runner)  # What waits must not meet a later runner.
    s, count = settings, max(map(len, tasks))
    python = shlex.quote(sys.executable)
    if s.no_srun:  # Then the batch shell alone is warned: let it become the runner.
        python = f"exec {python}"
    try:
        executor = submitit.SlurmExecutor(folder, max_num_timeout=TIMEOUTS, python=python)
    except RuntimeError as error:  # There is no srun here.
        raise slurm.Refused(str(error)) from error
    extra = {"requeue": True} if not s.no_requeue else {"no-requeue": True}
    extra |= {"signal": f"B:USR2@{s.delay_s}"} if s.no_srun else {}
    extra |= dict(word.lstrip("-").partition("=")[::2] for word in (ask.extra or "").split())
    setup = ["export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK", *filter(None, [s.setup])]
    executor.update_parameters(
        job_name=token, signal_delay_s=s.delay_s, array_parallelism=s.array_parallelism,
        setup=setup, additional_parameters=extra, wckey=None, use_srun=not s.no_srun,
        stderr_to_stdout=True, **ask.parameters(count, s.gpu_flag),
    )  # fmt: skip
    jobs = [runner.Job(each, str(Path.cwd()), float(s.delay_s)) for each in tasks]
    try:
        with slurm.unnested():
            return [str(job.job_id) for job in executor.submit_array(jobs)]
    except (FailedJobError, FailedSubmissionError, OSError) as error:
        raise slurm.failure(str(error)) from error


def ready(folder: Path, count: int) -> list[str]:
    """Returns the ids of a submission whose jobs can run; none, if submitit was killed before.

    It says what a job is to do in a file of the job's id, once sbatch has answered with that.

    Args:
        folder: of the submission.
        count: of its jobs.
    """
    names = [path.name.removesuffix("_submitted.pkl") for path in folder.glob("*_submitted.pkl")]
    ids = sorted(names, key=lambda id: int(id.partition("_")[2] or 0))
    return ids if len(ids) == count else []
