"""Carries out a schedule: one lane against each crew of workers, one against the brokers and the network.

Theory of operation. A lane against workers runs in a thread that only sends signals; the lane against brokers runs in
the thread that called `run_lanes`, for a broker dies with the thread that started it. A fault of the network is one at
a time, over all lanes. A server is only taken away while all copies are in sync, and comes back before the next one
goes: that is what a cluster promises to survive. At the end everything is healed, and every zombie must end by itself.
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from streams.dev.kafka_cluster import KafkaCluster
from tests.chaos.crew import JOINED, Crew
from tests.chaos.proxy import HEALTHY, Fault, FaultKind, Proxy, ProxyThread
from tests.chaos.schedule import Kind, Step

LATENCY_MS: Final = 120
FLUSH_LATENCY_MS: Final = 60
SLOW_BYTES_PER_SECOND: Final = 20_000
SERVER_TIMEOUT_S: Final = 300.0
PRESENT_TIMEOUT_S: Final = 300.0
LOADING_TIMEOUT_S: Final = 25.0
ZOMBIES_END_WITHIN_S: Final = 300.0
LOOK_S: Final = 0.05

NETWORK: Final[Mapping[Kind, Fault]] = {
    Kind.LATENCY: Fault(FaultKind.LATENCY, delay_ms=LATENCY_MS),
    Kind.SLOW: Fault(FaultKind.SLOW, bytes_per_second=SLOW_BYTES_PER_SECOND),
    Kind.HOLD: Fault(FaultKind.HOLD),
    Kind.HALF_OPEN: Fault(FaultKind.HALF_OPEN),
    Kind.CUT: Fault(FaultKind.CUT),
}


def note(line: str) -> None:
    """For who reads along (`pytest -s`), and for a failed test's report."""
    sys.stderr.write(f"chaos: {line}\n")


@contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    note(f"  {what}: {time.monotonic() - began:.1f} s")


class Network:
    """The proxies, with one fault at a time."""

    def __init__(self, proxies: ProxyThread) -> None:
        self.proxies = proxies
        self._one_at_a_time = threading.Lock()

    @contextmanager
    def suffering(self, fault: Fault, hit: Sequence[Proxy]) -> Iterator[None]:
        with self._one_at_a_time:
            for proxy in hit:
                self.proxies.suffer(proxy, fault)
            try:
                yield
            finally:
                for proxy in hit:
                    self.proxies.suffer(proxy, HEALTHY)


class Lane(Protocol):
    """What can suffer steps."""

    def suffer(self, step: Step) -> None: ...


def run_lanes(brokers: tuple[Lane, Sequence[Step]], *workers: tuple[Lane, Sequence[Step]]) -> Counter[Kind]:
    """All lanes to their ends, the first one in this thread; counts what was done, raises the first failure."""
    done: Counter[Kind] = Counter()
    failures: list[BaseException] = []

    def go(lane: Lane, steps: Sequence[Step]) -> None:
        try:
            for step in steps:
                time.sleep(step.pause_s)
                if failures:
                    return
                began = time.monotonic()
                lane.suffer(step)
                done[step.kind] += 1
                note(f"{step.kind} at {step.place}, {time.monotonic() - began:.1f} s")
        except BaseException as error:  # noqa: BLE001 - raised below, once every lane has come to its end
            failures.append(error)

    threads = [threading.Thread(target=go, args=one) for one in workers]
    for thread in threads:
        thread.start()
    go(*brokers)
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return done


class WorkersLane:
    """`posts_min` and `posts_max` are per role; a role is what comes before the dash in a worker's name."""

    def __init__(
        self, crew: Crew, roles: Sequence[str], network: Network, *, posts_max: int = 4, posts_min: int = 1
    ) -> None:
        self._crew = crew
        self._roles = tuple(roles)
        self._network = network
        self._posts_max, self._posts_min = posts_max, posts_min
        self._joined = 0
        self.kills = 0
        self.zombies = 0
        self._acts: Mapping[Kind, Callable[[Step], None]] = {
            Kind.KILL: self._kill,
            Kind.KILL_IN_FLUSH: self._kill_in_flush,
            Kind.KILL_WHILE_LOADING: self._kill_while_loading,
            Kind.KILL_IN_REBALANCE: self._kill_in_rebalance,
            Kind.ZOMBIE_REPLACED: self._zombie_replaced,
            Kind.ZOMBIE_EXPIRED: self._zombie_expired,
            Kind.JOIN: self._join,
            Kind.LEAVE: self._leave,
        }

    def suffer(self, step: Step) -> None:
        self._acts[step.kind](step)

    def await_calm(self) -> None:
        """Return when no zombie is left and every post is filled."""
        deadline = time.monotonic() + ZOMBIES_END_WITHIN_S
        while self._crew.zombies or len(self._crew.pids()) < len(self._crew.names):
            assert time.monotonic() < deadline, (
                f"zombies {self._crew.zombies} do not end, or not all of {self._crew.names} run:\n{self._crew.logs}"
            )
            time.sleep(LOOK_S)

    def _victim(self, step: Step, *, named: bool = False) -> str:
        """A worker that runs, with `named` a static member; who just ended is waited for."""
        names = self._crew.names
        fitting = [name for name in names if not named or JOINED not in name] or names
        name = fitting[step.place % len(fitting)]
        deadline = time.monotonic() + PRESENT_TIMEOUT_S
        while name not in self._crew.pids():
            assert time.monotonic() < deadline, f"{name} is not started again:\n{self._crew.log(name)}"
            time.sleep(LOOK_S)
        note(f"  {step.kind}: {name}, process {self._crew.pids().get(name)}")
        return name

    def _kill_now(self, name: str) -> None:
        self.kills += self._crew.kill(name)

    def _kill(self, step: Step) -> None:
        self._kill_now(self._victim(step))

    def _kill_in_flush(self, step: Step) -> None:
        name = self._victim(step)
        with self._network.suffering(Fault(FaultKind.LATENCY, delay_ms=FLUSH_LATENCY_MS), self._network.proxies.all):
            time.sleep(0.3 + step.lasts_s)
            self._kill_now(name)

    def _kill_while_loading(self, step: Step) -> None:
        name = self._victim(step)
        since = self._crew.log_size(name)
        self._kill_now(name)
        if self._crew.wait_for_line(name, "loading partitions", since, LOADING_TIMEOUT_S):
            time.sleep(step.lasts_s)
        self._kill_now(name)

    def _kill_in_rebalance(self, step: Step) -> None:
        name = self._victim(step)
        self._change_crew(step)
        time.sleep(step.lasts_s)
        self._kill_now(name if name in self._crew.names else self._victim(step))

    def _zombie_replaced(self, step: Step) -> None:
        name = self._victim(step, named=True)
        if JOINED in name:  # without a name of its own it is nobody's predecessor, but one worker more
            self._zombie_expired(step)
            return
        zombie = self._crew.stop_process(name)
        if zombie is None:
            return
        self.zombies += 1
        since = self._crew.log_size(name)
        self._crew.replace(name, zombie)
        self._crew.wait_for_line(name, "ready: partitions", since, LOADING_TIMEOUT_S)
        time.sleep(step.lasts_s)
        self._crew.go_on(zombie)

    def _zombie_expired(self, step: Step) -> None:
        zombie = self._crew.stop_process(self._victim(step))
        if zombie is None:
            return
        self.zombies += 1
        time.sleep(step.lasts_s)
        self._crew.go_on(zombie)

    def _join(self, step: Step) -> None:
        self._change_crew(step, more=True)

    def _leave(self, step: Step) -> None:
        self._change_crew(step, more=False)

    def _change_crew(self, step: Step, *, more: bool = True) -> None:
        """One more or one fewer of a role; the other where there is no room for it."""
        role = self._roles[step.place % len(self._roles)]
        present = [name for name in self._crew.names if name.startswith(f"{role}-")]
        if len(present) >= self._posts_max:
            more = False
        elif len(present) <= self._posts_min:
            more = True
        if more:
            self._joined += 1
            self._crew.add(f"{role}-{JOINED}{self._joined}")
        else:
            name = present[step.place % len(present)]
            note(f"  {name} leaves")
            self._crew.leave(name)


class BrokersLane:
    def __init__(self, brokers: KafkaCluster, network: Network) -> None:
        self._brokers = brokers
        self._network = network

    def suffer(self, step: Step) -> None:
        if step.kind in NETWORK:
            self._disturb(step)
        else:
            self._break_server(step)

    def _break_server(self, step: Step) -> None:
        server = self._brokers.servers[step.place % len(self._brokers.servers)]
        with timed("in sync before"):
            self._brokers.await_in_sync()
        with timed("down, and leaders elected among the others"):
            if step.kind is Kind.BROKER_KILL:
                server.kill()
            else:
                server.stop()
            if len(self._brokers.servers) > 1:
                self._brokers.await_leaders()
        time.sleep(step.lasts_s)
        with timed("up again and in sync"):
            server.start(SERVER_TIMEOUT_S)
            self._brokers.await_in_sync()

    def _disturb(self, step: Step) -> None:
        every = self._network.proxies.all
        hit = every if step.everywhere else [every[step.place % len(every)]]
        with self._network.suffering(NETWORK[step.kind], hit):
            time.sleep(step.lasts_s)
