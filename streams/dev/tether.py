"""Run a command that dies with its parent: `python tether.py PARENT_PID COMMAND...` becomes COMMAND.

Linux sends a process the signal it asked for (PR_SET_PDEATHSIG, kept across exec) when the thread that started it
ends, however it ends; so a broker outlives no owner, not even one killed with -9. Other systems lack this: there the
command simply runs. The file is started as a script, by path, and imports nothing of the package: it must be quick.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the request was made
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - becoming the command is the point


if __name__ == "__main__":
    main()
