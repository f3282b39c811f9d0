"""Ports on the loopback interface for servers that are about to start.

Theory of operation. Between choosing a port and listening on it somebody else may take it, and a server that goes and
comes back leaves its port alone in between. So ports are chosen below those that the system gives to outgoing
connections (on the loopback interface a client can even connect to itself), at random, and each is claimed by a lock on
a file of its number until this process ends: two processes that choose at the same time choose differently.
"""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import Final

LOOPBACK: Final = "127.0.0.1"
SPAN: Final = 12_000
_CLAIMS: Final[list[int]] = []
"""Open files, whose locks go with this process; at most `SPAN`."""


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on or is about to."""
    return [ports_in_a_row(1)[0] for _ in range(count)]


def ports_in_a_row(count: int) -> list[int]:
    """As `free_ports`, one after the other: a family of workers takes them so.

    Raises:
        OSError: there are none.
    """
    past = _first_ephemeral()
    firsts = range(max(1_024, past - SPAN), past - count + 1)
    for first in random.sample(firsts, len(firsts)):
        row = list(range(first, first + count))
        if all(map(is_free, row)) and _claimed(row):
            return row
    raise OSError(f"no {count} ports in a row are free below {past}")


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT can be listened on again
        try:
            one.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _claimed(row: list[int]) -> bool:
    """Take all of these, or none."""
    folder = Path(tempfile.gettempdir()) / f"pegel-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    held: list[int] = []
    for port in row:
        file = os.open(folder / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        held.append(file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            for one in held:
                os.close(one)
            return False
    _CLAIMS.extend(held)
    return True


def _first_ephemeral() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except OSError:  # not Linux; the range that IANA names
        return 49_152
