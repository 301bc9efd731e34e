"""`sweep --engine=slurm`: the runs as one Slurm job array, a script for sbatch. Slurm holds the queue."""

import os
import shlex
import sys

from tf_tickets.errors import StopRequested
from tf_tickets.settings.config import Config
from tf_tickets.sweeps.outcomes import Run

# Seconds before the time limit at which a run is asked to save: a block of steps, an evaluation, a checkpoint.
_GRACE = 180

_HEAD = """\
#!/usr/bin/env bash
# {runs} runs of tf_tickets. Submit: sbatch --time=04:00:00 [--partition=...] THIS_FILE
# A run that the time limit or a SIGTERM stops saves its state, queues itself again and continues; one whose node is
# lost is requeued by Slurm and does too. When all are done, the same command without --engine writes the table.
#SBATCH --job-name=tf-tickets
#SBATCH --array={indices}
#SBATCH --cpus-per-task={cpus}
{gpus}#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@{grace}
set -u
cd {folder} || exit 3
{environment}
case "$SLURM_ARRAY_TASK_ID" in
"""

_TAIL = """\
*) echo "no run has the index $SLURM_ARRAY_TASK_ID" >&2; exit 2 ;;
esac
mkdir -p "$(dirname "$log")" || exit 3
asked=0
{python} -m tf_tickets.main "$@" >>"$log" 2>&1 &
run=$!
trap 'asked=$((asked + 1)); kill -TERM "$run" 2>/dev/null' USR1 TERM INT
while :; do
    before=$asked
    wait "$run"
    status=$?
    [ "$asked" = "$before" ] && break # else a signal ended the wait, not the run
done
if [ "$status" = {stopped} ]; then
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}" && exit 0
fi
[ "$status" = 0 ] || tail -n 1 "$log" >&2
exit "$status"
"""


def script(runs: list[Run], config: Config) -> str | None:
    """The script, one index for each run.

    Args:
      runs: list of outcomes.Runs. Their indices are their places in it; finished ones are left out of the array.
      config: the sweep's Config.

    Returns:
      The text, or None where every run is finished.
    """
    left = [index for index, run in enumerate(runs) if not run.finished]
    if not left:
        return None
    cpus, gpus = config.command.cpus_per_run or 2, int(config.command.gpus_per_run or 0)
    lines = [
        _HEAD.format(
            runs=len(left), indices=_ranges(left), cpus=cpus, grace=_GRACE, folder=shlex.quote(os.getcwd()),
            gpus=f"#SBATCH --gpus-per-task={gpus}\n" if gpus else "", environment=_environment(cpus),
        )
    ]  # fmt: skip
    for index, run in enumerate(runs):
        lines.append(f"{index}) log={shlex.quote(run.log)}; set -- {shlex.join(run.words)} ;;\n")
    return "".join([*lines, _TAIL.format(python=shlex.quote(sys.executable), stopped=StopRequested.exit_status)])


def _environment(cpus):
    """The number of threads, which decides the bits, and what this shell has set for TensorFlow."""
    names = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")
    variables = dict.fromkeys(names, str(cpus))
    variables |= {n: v for n, v in os.environ.items() if n.startswith(("TF_", "TFDS_")) or n in (*names, "PYTHONPATH")}
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def _ranges(numbers):
    """Rising numbers as Slurm writes them, 0-3,7."""
    parts, start = [], numbers[0]
    for number, following in zip(numbers, [*numbers[1:], None]):
        if following != number + 1:
            parts.append(str(start) if start == number else f"{start}-{number}")
            start = following
    return ",".join(parts)
