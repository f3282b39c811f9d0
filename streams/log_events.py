"""Every line that Pegel's own code may write to a worker's log, in one place.

Theory of operation. A line is an event of this list, with fields of the list below: nothing else can be said, so a test
can hold that no line names an account, a user or a payload, and the table of docs/logs-and-traces.md is made from it.
What a field holds is bounded and made harmless where it is written (`streams.runtime.logs`).

An account is never named: a `transition_id` or `delivery_id` leads to it (`pegel deliveries`, the topics), and erasure
reaches topics, not logs. An exception's own text is shown only where no event can be quoted in it
(`streams.runtime.failure`).

An event that may come thousands of times a second has a pause: of its lines that agree in the fields `per`, one is
written in `pause_s`, and the next one says how many were left out. Where a pause holds a line back, next to nothing is
done for it.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

LOGGER: Final = logging.getLogger("streams")
for_machines = False
"""Whether all that this process says to standard error is to be a line of the log."""

PAUSE_S: Final = 10.0
KINDS_MAX: Final = 500
"""So many kinds of lines are told apart; the one that was let through longest ago is forgotten first."""
LEFT_OUT: Final = "left_out"

Value = str | int | float | bool | None | Sequence[int] | Sequence[str]


class Pauses:
    """Which repeated lines pass. Used from several threads: a race costs at most a line too many."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, kinds_max: int = KINDS_MAX) -> None:
        self._clock = clock
        self._kinds_max = kinds_max
        self._kinds: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kinds)

    def clear(self) -> None:
        """Let every kind pass again."""
        self._kinds.clear()

    def pass_on(self, kind: Hashable, pause_s: float) -> int | None:
        """How many lines of the kind were left out before this one, which passes; None: it is left out too."""
        now = self._clock()
        passed_at, left_out = self._kinds.get(kind, (None, 0))
        if passed_at is not None and now - passed_at < pause_s:
            self._kinds[kind] = passed_at, left_out + 1
            return None
        self._kinds[kind] = now, 0
        self._kinds.move_to_end(kind)
        while len(self._kinds) > self._kinds_max:
            self._kinds.popitem(last=False)
        return left_out


PAUSES: Final = Pauses()
"""Of this process."""


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One kind of line. It is the `msg` of its log records, and its fields are their `args`."""

    name: str
    level: int
    text: str
    """With `%(field)s` for fields."""
    meaning: str
    more: tuple[str, ...] = ()
    """Fields that the text does not show."""
    pause_s: float = 0.0
    per: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text

    def tell(self, **fields: Value) -> None:
        """Write a line; a field that is None is left out of JSON."""
        if not LOGGER.isEnabledFor(self.level):
            return
        if self.pause_s:
            left_out = PAUSES.pass_on((self.name, *(fields[name] for name in self.per)), self.pause_s)
            if left_out is None:
                return
            if left_out:
                fields[LEFT_OUT] = left_out
        if fields:
            LOGGER.log(self.level, self, fields)
        else:
            LOGGER.log(self.level, self)


def write_out() -> None:
    """Before a process ends hard."""
    logging.shutdown()


FIELDS: Final[Mapping[str, str]] = {
    "address": "Where pages are served, or spans go to.",
    "attempt": "Which attempt of the delivery it was, from 1.",
    "catalog": "Version of the catalog.",
    "command": "What an operator asked for.",
    "delivery_id": "The delivery; the same on every attempt.",
    "destination": "Id of a destination, as the playbook calls it.",
    "direction": "entered, exited or moved.",
    "error": "Type of an exception and of what caused it, with their texts where those can quote no event.",
    "exit_code": "Exit status of a process.",
    "first": "Offset of the first record.",
    "kind": "account or user.",
    "last": "Offset of the last record.",
    "left_out": "So many lines of this kind were left out since the last one.",
    "name": "Name of a stage, metric or connector.",
    "offset": "Offset of a record in its partition.",
    "package": "A Python package and its version.",
    "partition": "Partition of the topic, or of the stage's input where no topic is named.",
    "partitions": "Partitions of the stage's input; or how many.",
    "pid": "Process id.",
    "play": "Id of a play.",
    "progress": "How far loading is.",
    "reason": "A word of a closed list, or a sentence about this deployment.",
    "rows": "Rows of state.",
    "seconds": "How long it took, or will take.",
    "segment": "Id of a segment.",
    "signal": "Name of a signal.",
    "spans": "How many spans.",
    "stack": "Where in the program: file:line function, innermost first.",
    "topic": "Name of a topic.",
    "transition_id": "The transition.",
    "trigger": "What let a transition be seen: a record, deadline, thresholds or catalog.",
    "version": "Version of Pegel.",
}
"""Fields of all events, and what they hold."""

DEBUG, INFO, WARNING, ERROR, CRITICAL = (
    logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL,
)  # fmt: skip

# -- a worker's life ---------------------------------------------------------------------------------------------------

WORKER_STARTS: Final = LogEvent(
    "worker_starts", INFO, "Pegel %(version)s starts", "A worker begins. Nothing is read yet."
)
PAGES_SERVED: Final = LogEvent(
    "pages_served", INFO, "health and metrics at %(address)s",
    "`/livez` and `/metrics` answer there; of workers and the canary `/readyz` too, of `pegel link serve` links.",
)  # fmt: skip
WAITING: Final = LogEvent(
    "waiting", INFO, "waiting: %(reason)s",
    "Brokers or topics are not there yet; told when the reason changes. Ends with `runtime.start_timeout_s`.",
)  # fmt: skip
READY: Final = LogEvent(
    "ready", INFO, "ready: partitions %(partitions)s", "All assigned partitions are loaded and at work."
)
SIGNALLED: Final = LogEvent(
    "signalled", INFO, "%(signal)s: stopping", "The worker was asked to stop: it flushes, commits and leaves."
)
SIGNALLED_AGAIN: Final = LogEvent(
    "signalled_again", WARNING, "%(signal)s again: ending at once",
    "A second signal. Nothing more is committed; what was not is done again at the next start.",
)  # fmt: skip
STOPPED: Final = LogEvent("stopped", INFO, "stopped; everything applied is committed", "An orderly end, exit status 0.")
WORKER_STOPS: Final = LogEvent(
    "worker_stops", CRITICAL, "worker stops (%(reason)s): %(error)s",
    "Fail stop: nothing more is committed, exit status 70. `reason` is the word of `pegel_failures_total`; the "
    "restart goes on from what was committed.",
    more=("stack",),
)  # fmt: skip
CANNOT_GO_ON: Final = LogEvent(
    "cannot_go_on", CRITICAL, "%(reason)s",
    "The cause lies outside the program; the line names the place, the reason and the fix. Several lines where there "
    "are several faults. Exit status 1 to 4.",
)  # fmt: skip
UNHANDLED: Final = LogEvent(
    "unhandled", CRITICAL, "ends by an error that nobody expected: %(error)s",
    "A fault of the program, before a worker is at work or in a thread of a library. Nothing is committed after it.",
    more=("stack",),
)  # fmt: skip
WORKER_REFUSED: Final = LogEvent(
    "worker_refused", CRITICAL, "why, as far as the brokers say: %(reason)s",
    "After `worker_stops`: the login or permission that is missing by now.",
)  # fmt: skip
WORKER_HANGS: Final = LogEvent(
    "worker_hangs", CRITICAL, "worker stops (%(reason)s): it does not move any more; ending hard",
    "The watchdog ended the process, exit status 70.",
)  # fmt: skip
NOT_LEFT: Final = LogEvent(
    "not_left", WARNING, "could not leave the group in order: %(error)s",
    "After a failure: the others notice at the session time-out.",
)  # fmt: skip
FAMILY_STARTED: Final = LogEvent(
    "family_started", INFO, "started %(name)s (pid %(pid)d)", "`pegel worker all` or `notifier` started a stage."
)
FAMILY_BROKEN: Final = LogEvent(
    "family_broken", ERROR, "%(name)s ended with exit code %(exit_code)d; ending the others",
    "One of several stages ended: all end, with its exit status if it failed.",
)  # fmt: skip

# -- partitions and their state ----------------------------------------------------------------------------------------

LOADING: Final = LogEvent(
    "loading", INFO, "loading partitions %(partitions)s", "Partitions were assigned; their state is read."
)
LOADING_GOES_ON: Final = LogEvent(
    "loading_goes_on", INFO, "loading state: %(progress)s; partitions %(partitions)s are not done", "Every few seconds."
)
LOADED: Final = LogEvent(
    "loaded", INFO, "loaded %(partitions)d partitions, %(rows)d rows, %(seconds).1f s", "The state is in memory."
)
LOADING_OVERTAKEN: Final = LogEvent(
    "loading_overtaken", INFO, "a newer assignment came while loading", "Another rebalance began; loading starts anew."
)
LOADED_ANEW: Final = LogEvent(
    "loaded_anew", WARNING, "partition %(partition)d was owned by another worker meanwhile; it is loaded anew",
    "This worker was taken for dead for a while: look for long pauses if it happens often.",
)  # fmt: skip
GIVEN_UP: Final = LogEvent(
    "given_up", INFO, "partitions %(partitions)s go to other workers", "After a rebalance; all was committed before."
)
PRODUCER_SLOW: Final = LogEvent(
    "producer_slow", WARNING, "partition %(partition)d: the producer did not close in time",
    "Harmless: the next owner's start ends what it left open.",
)  # fmt: skip
STATE_AHEAD: Final = LogEvent(
    "state_ahead", WARNING,
    "partition %(partition)d: the state reaches to %(last)d, the group's offset only to %(offset)d; "
    "going on where the state ends",
    "Somebody moved or lost the group's offsets. Nothing is applied twice.",
)  # fmt: skip
RECORDS_LOST: Final = LogEvent(
    "records_lost", ERROR,
    "partition %(partition)d: records %(first)d to %(last)d were deleted before they were read; "
    "going on after them",
    "Retention was shorter than the worker was away: these records count nowhere.",
)  # fmt: skip
OVERLOOKED: Final = LogEvent(
    "overlooked", WARNING,
    "partition %(partition)d brings nothing though it has more; the others go on without it",
    "Intake catches up, and one partition's broker is slow: order across partitions suffers (`intake.alignment_ms`).",
)  # fmt: skip

# -- records -----------------------------------------------------------------------------------------------------------

RECORD_REFUSED: Final = LogEvent(
    "record_refused", WARNING, "%(topic)s, partition %(partition)d, offset %(offset)d: refused, %(reason)s",
    "A dead letter was written; `pegel dlq show` has the record. With a `delivery_id`: a message that nobody got.",
    more=("delivery_id", "destination"),
    pause_s=PAUSE_S, per=("topic", "reason", "destination"),
)  # fmt: skip
CATALOG_APPLIES: Final = LogEvent(
    "catalog_applies", INFO, "partition %(partition)d: catalog %(catalog)s applies from here on",
    "A catalog record was read in the log.",
)  # fmt: skip
ERASED: Final = LogEvent(
    "erased", INFO, "partition %(partition)d: one %(kind)s is forgotten from here on",
    "An erasure was read in the log. Whom it concerns stands there alone.",
)  # fmt: skip
TRANSITION: Final = LogEvent(
    "transition", DEBUG, "%(transition_id)s: %(direction)s %(segment)s (%(trigger)s)",
    "A segment transition was decided; it counts when its flush commits.",
)  # fmt: skip

# -- deliveries --------------------------------------------------------------------------------------------------------

DELIVERED: Final = LogEvent(
    "delivered", DEBUG, "%(delivery_id)s: %(destination)s took attempt %(attempt)d",
    "A message arrived.",
    more=("transition_id", "play"),
)  # fmt: skip
NOT_DELIVERED: Final = LogEvent(
    "not_delivered", WARNING, "%(delivery_id)s: attempt %(attempt)d at %(destination)s failed, %(reason)s",
    "It is tried again by itself. `reason` is that of `pegel_deliveries_total`.",
    more=("transition_id", "play"),
    pause_s=PAUSE_S, per=("destination", "reason"),
)  # fmt: skip
BREAKER_OPENED: Final = LogEvent(
    "breaker_opened", WARNING, "%(destination)s is left alone for %(seconds)d s",
    "Too many attempts failed in a row, or its credentials were refused. What it would get waits.",
    pause_s=PAUSE_S, per=("destination",),
)  # fmt: skip
BREAKER_CLOSED: Final = LogEvent(
    "breaker_closed", INFO, "%(destination)s answers again", "What waited for it goes out.",
    pause_s=PAUSE_S, per=("destination",),
)  # fmt: skip
OBEYED: Final = LogEvent(
    "obeyed", INFO, "%(destination)s: %(command)s", "A command of `pegel destination`, `deliveries` or `silence`.",
    pause_s=PAUSE_S, per=("destination", "command"),
)  # fmt: skip
READING_AGAIN: Final = LogEvent(
    "reading_again", WARNING, "a reading for %(destination)s is made again in %(seconds)d s: %(error)s",
    "Kafka did not answer while waiting messages, or a segment's members, were read back.",
    pause_s=PAUSE_S, per=("destination",),
)  # fmt: skip
CLICK_LOST: Final = LogEvent(
    "click_lost", WARNING, "a click was not recorded: %(reason)s",
    "`pegel link serve` could not write an event; the link itself worked.",
    pause_s=PAUSE_S, per=("reason",),
)  # fmt: skip

# -- the canary --------------------------------------------------------------------------------------------------------

CANARY_CROSSES: Final = LogEvent(
    "canary_crosses", INFO, "the canary crosses %(segment)s by %(trigger)s, under catalog %(catalog)s",
    "What `pegel canary` does from here on.",
)  # fmt: skip
CANARY_IDLE: Final = LogEvent(
    "canary_idle", ERROR, "the canary has nothing to cross: %(reason)s",
    "There is no catalog yet, or none with a segment that can be crossed on schedule: nobody watches the whole way.",
    pause_s=PAUSE_S, per=("reason",),
)  # fmt: skip
CANARY_UNSEEN: Final = LogEvent(
    "canary_unseen", WARNING, "a crossing in partition %(partition)d: %(reason)s",
    "Missed (`not_in_time`) or wrong (every other reason): what happens to it happens to customers' accounts.",
    pause_s=PAUSE_S, per=("partition", "reason"),
)  # fmt: skip
CANARY_RETRIES: Final = LogEvent(
    "canary_retries", WARNING, "the canary begins anew in %(seconds)g s: %(reason)s",
    "The brokers cannot be worked with. Nothing is published meanwhile.",
    pause_s=PAUSE_S, per=("reason",),
)  # fmt: skip

# -- this installation -------------------------------------------------------------------------------------------------

CONNECTOR_SHADOWED: Final = LogEvent(
    "connector_shadowed", WARNING,
    "%(package)s has a connector '%(name)s', which is built in: the built-in one is used",
    "Rename the package's connector.",
)  # fmt: skip
METRIC_UNDECLARED: Final = LogEvent(
    "metric_undeclared", ERROR, "stage metric '%(name)s' is not declared in streams/metrics.py and is not exported",
    "A fault of the program; nothing but the metric is missing.",
)  # fmt: skip
TOKEN_KEPT: Final = LogEvent(
    "token_kept", WARNING, "%(reason)s; going on with the token that expires in %(seconds)d s",
    "The token endpoint is away. Logins fail when the token has expired.",
    pause_s=PAUSE_S,
)  # fmt: skip
TRACING: Final = LogEvent(
    "tracing", INFO, "spans of traced records go to %(address)s", "`tracing.endpoint`, or a variable `OTEL_*`."
)
SPANS_LOST: Final = LogEvent(
    "spans_lost", WARNING, "%(spans)d spans were lost: %(reason)s",
    "The collector is away or too slow. Only traces suffer.",
    pause_s=PAUSE_S, per=("reason",),
)  # fmt: skip

EVENTS: Final[Mapping[str, LogEvent]] = {
    found.name: found for found in list(globals().values()) if isinstance(found, LogEvent)
}
"""All of them, by name."""
CLIENT: Final = "client"
"""The event of lines that libraries write: Faust, the Kafka client, asyncio, OpenTelemetry."""
