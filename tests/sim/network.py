"""The way between a client and a broker: slow, lossy, and silent about which half of a call was lost.

A call is a request that is applied at the broker at one moment, and an answer. Lost may be the request (nothing
happened), the answer (it happened), or the connection while the request sits in a broker's buffer: the client gives up
and asks again, and the first request is applied later. That last fate is not dealt to the end of a transaction nor to
its offsets: before Kafka's transaction protocol v2 (KIP-890) nothing tells late ones from those of the next
transaction, and no client of the older protocol can be safe. ``NEVER_LATE`` is what the guarantees rest on.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from aiokafka.errors import KafkaConnectionError, KafkaError, RequestTimedOutError

from tests.sim.loop import SimLoop
from tests.sim.trace import Trace

REQUEST_TIMEOUT_S: Final = 1.5
LATE_S_MAX: Final = 3.0
NEVER_LATE: Final = frozenset({"end", "offsets"})


@dataclass(frozen=True, slots=True)
class Weather:
    """How a run's network behaves. Rates are shares of all calls."""

    latency_s: float
    lost_rate: float
    """Of each kind: request, answer, late request."""
    slow_rate: float
    slow_s: float
    slow_call: str
    """This request is slow every other time."""
    marker_s: float
    """How long the end of a transaction takes to reach a partition."""


class Network:
    def __init__(self, loop: SimLoop, random: Random, weather: Weather, trace: Trace) -> None:
        self._loop = loop
        self._random = random
        self._weather = weather
        self._trace = trace
        self.never_late: frozenset[str] = NEVER_LATE
        self.is_calm = False
        """No faults any more: the run is to come to rest."""

    def latency_s(self, mean_s: float | None = None) -> float:
        weather, random = self._weather, self._random
        if not self.is_calm and random.random() < weather.slow_rate:
            return random.random() * weather.slow_s
        return random.expovariate(1.0) * (weather.latency_s if mean_s is None else mean_s)

    def _request_s(self, name: str) -> float:
        if name == self._weather.slow_call and not self.is_calm and self._random.random() < 0.5:
            return self._random.random() * self._weather.slow_s
        return self.latency_s()

    def marker_s(self) -> float:
        return self.latency_s(self._weather.marker_s)

    def call(self, name: str, apply: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Ask a broker. An answer that is a future is awaited there (a join, a fetch that waits for records)."""
        answer = self._loop.create_future()
        lost_rate = 0.0 if self.is_calm else self._weather.lost_rate
        fate = self._random.random()
        if fate >= 3 * lost_rate:
            self._loop.later(self._request_s(name), self._deliver, answer, name, apply, arguments)
        else:
            self._lose(answer, name, apply, arguments, fate / lost_rate)
        return answer

    def _lose(
        self, answer: asyncio.Future[Any], name: str, apply: Callable[..., Any], arguments: Any, fate: float
    ) -> None:
        random, loop = self._random, self._loop
        gives_up_s = REQUEST_TIMEOUT_S if random.random() < 0.5 else self.latency_s()
        if fate < 1:  # the answer is lost
            loop.later(random.random() * gives_up_s, self._deliver, None, name, apply, arguments)
        elif fate < 2 and name not in self.never_late:
            loop.later(random.random() * LATE_S_MAX, self._deliver, None, name, apply, arguments)
        error = RequestTimedOutError() if gives_up_s == REQUEST_TIMEOUT_S else KafkaConnectionError("it broke")
        loop.later(gives_up_s, settle, answer, error)

    def _deliver(
        self, answer: asyncio.Future[Any] | None, name: str, apply: Callable[..., Any], arguments: Any
    ) -> None:
        """Apply a request; without a future to settle nobody hears of it."""
        try:
            result = apply(*arguments)
        except KafkaError as error:
            result = error
        self._trace.note(name, arguments, type(result).__name__ if isinstance(result, Exception) else "")
        if answer is None:
            return
        if isinstance(result, asyncio.Future):
            result.add_done_callback(lambda done: self._answer(answer, done.result()), context=self._loop.world)
        else:
            self._answer(answer, result)

    def _answer(self, answer: asyncio.Future[Any], result: Any) -> None:
        self._loop.later(self.latency_s(), settle, answer, result)


def settle(answer: asyncio.Future[Any], result: Any) -> None:
    """Hand over what came back, unless nobody waits any more."""
    if answer.done():
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
