"""Ports that servers are about to listen on."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from streams.dev import ports
from streams.dev.ports import LOOPBACK, free_ports, is_free, ports_in_a_row

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_no_port_is_given_twice_while_nobody_listens_yet() -> None:
    found = [*free_ports(200), *ports_in_a_row(4), *free_ports(200)]
    assert len(set(found)) == len(found)


def test_processes_that_choose_at_the_same_time_choose_differently() -> None:
    choose = (
        "from streams.dev import ports; import sys; ports.SPAN = 64; "
        "print(*ports.free_ports(12), flush=True); sys.stdin.read()"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", choose], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    try:
        found = [port for one in running if one.stdout is not None for port in one.stdout.readline().split()]
        assert len(found) == 36
        assert len(set(found)) == 36
    finally:
        for one in running:
            one.communicate()


@pytest.mark.skipif(not EPHEMERAL.exists(), reason="the system does not say which ports it gives to clients (Linux)")
def test_ports_are_none_that_the_system_gives_to_outgoing_connections() -> None:
    first = int(EPHEMERAL.read_text().split()[0])
    assert max(free_ports(50)) < first


def test_a_row_of_ports_is_one_after_the_other_and_leaves_out_what_is_taken() -> None:
    row = ports_in_a_row(4)
    assert row == list(range(row[0], row[0] + 4))
    with socket.create_server((LOOPBACK, row[1])):
        assert not is_free(row[1])
        assert is_free(row[2])


def test_that_there_are_no_ports_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda _: False)
    with pytest.raises(OSError, match="no 3 ports in a row are free below"):
        ports_in_a_row(3)
