"""Free ports on the loopback interface."""

import random
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Final

LOOPBACK: Final = "127.0.0.1"
LASTING_SPAN: Final = 12_000


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on now; held open together, so that none is given twice."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) for _ in range(count)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [int(one.getsockname()[1]) for one in sockets]


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT can be listened on again
        try:
            one.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def lasting_ports(count: int) -> list[int]:
    """Different free ports that the system gives to no client, for a server that goes and comes back.

    While it is away somebody's outgoing connection could get its port, even one that tries to reach it: on the
    loopback interface a socket can connect to itself.
    """
    first = _first_ephemeral()
    candidates = random.sample(range(max(1_024, first - LASTING_SPAN), first), LASTING_SPAN // 2)
    found = [port for port in candidates if is_free(port)][:count]
    assert len(found) == count, "hardly a port is free"
    return found


def _first_ephemeral() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except OSError:  # not Linux; the range that IANA names
        return 49_152
