"""The router's stage: transitions of one partition in, one inbox record per destination that hears of it out.

Theory of operation. It has no state and starts nothing: what it writes is a function of the record and the playbook.
An inbox record has the destination as its key, so that all that one destination must hear of comes together in one
partition, with one courier: pace, breaker, budget and digest are then the destination's, and not a partition's share
of them. Order per account is kept: an account's transitions lie in one partition here, and one destination's in one
there.

Of the canary's accounts (`schemas.canary`) nobody is told, whatever plays say: they are nobody's.

A record that is no transition becomes a dead letter here. One that an operator tries again names the destination where
it failed: it goes there alone.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from schemas.canary import is_canary
from schemas.dead_letter import (
    DESTINATION_HEADER,
    PLAY_HEADER,
    RETRY_DELIVERY_HEADER,
    Rejected,
    RejectReason,
)
from schemas.inbox import Original, routed_headers
from schemas.transition import ANNOUNCE_HEADER, FACTS_HEADER
from streams.notify.plan.news import read
from streams.notify.router.interest import Interests
from streams.runtime.dead_letters import RefusedAt, dead_letter
from streams.runtime.headers import require_readable
from streams.runtime.stage import Drained, InputRecord, Output
from streams.topics import Topics

WAITING_OUTPUTS_MAX: Final = 20_000
"""Outputs not yet flushed; with more the stage takes no more input."""

OWN_HEADERS: Final = frozenset({ANNOUNCE_HEADER, FACTS_HEADER, RETRY_DELIVERY_HEADER, DESTINATION_HEADER, PLAY_HEADER})


class RouterStage:
    def __init__(self, partition: int, interests: Interests, destinations: Collection[str], topics: Topics) -> None:
        self._partition = partition
        self._interests = interests
        self._destinations = destinations
        self._inbox = topics.inbox
        self._refused_at = RefusedAt("router", topics.transitions, partition, topics.transitions_dlq, OWN_HEADERS)
        self._outputs: list[Output] = []
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Mapping[str, int]:
        return self._counts

    @property
    def gauges(self) -> Mapping[str, int]:
        return {}

    def restore(self, key: bytes, value: bytes | None) -> None:
        """There is nothing to remember."""

    def restored(self) -> None:
        """There is nothing to remember."""

    def apply(self, records: Sequence[InputRecord]) -> None:
        for record in records:
            try:
                destinations = self._hear(record)
            except Rejected as rejected:
                self._counts[f"rejected:{rejected.reason}"] += 1
                self._outputs.append(dead_letter(record, rejected, self._refused_at))
                continue
            original = Original(self._partition, record.offset, record.timestamp, record.key, record.headers)
            before = len(self._outputs)
            for name in destinations:
                key, headers = name.encode(), routed_headers(name, original)
                self._outputs.append(Output(self._inbox, key, record.value, headers))
            routed = len(self._outputs) - before
            self._counts["routed"] += routed
            if not routed:
                self._counts["unheard"] += 1

    def on_tick(self, now_ms: int, *, caught_up: bool) -> None:
        """There is nothing to be done later."""

    def position(self, next_offset: int) -> int:
        return next_offset

    def drain(self) -> Drained:
        drained, self._outputs = Drained(self._outputs, []), []
        return drained

    def dirty(self) -> bool:
        return bool(self._outputs)

    def saturated(self) -> bool:
        return len(self._outputs) >= WAITING_OUTPUTS_MAX

    def close(self) -> None:
        """There is nothing to let go of."""

    def _hear(self, record: InputRecord) -> Iterable[str]:
        """Where a record goes; raises `Rejected`."""
        require_readable(record.headers)
        news = read(record.value)
        if is_canary(news.account_id):
            return ()
        named = dict(record.headers)
        if DESTINATION_HEADER not in named:
            return self._interests.of(news)
        wanted = (named.get(DESTINATION_HEADER) or b"").decode("utf-8", "replace")
        if wanted not in self._destinations:
            raise Rejected(RejectReason.PLAY_REMOVED, "the destination where it was to be tried again is gone")
        return (wanted,)
