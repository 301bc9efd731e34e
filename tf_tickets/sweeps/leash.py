"""A process that cannot outlive the one that started it: a retried run finds its folder free.

    python -m tf_tickets.sweeps.leash PARENT WORDS...

becomes `python -m tf_tickets.main WORDS...`, which the kernel kills when the thread that started it is gone.
"""

import ctypes
import os
import signal
import sys

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl


def main(parent: int, words: list[str]) -> None:
    """Turns this process into the program."""
    if ctypes.CDLL(None, use_errno=True).prctl(_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl refuses PR_SET_PDEATHSIG")
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)  # it was gone before the kernel knew
    os.execv(sys.executable, [sys.executable, "-m", "tf_tickets.main", *words])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
