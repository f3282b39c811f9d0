"""Transitions as the notifier would have read them: out of a replay, or as they stand in a file."""

from collections.abc import Iterable

import msgspec

from streams.engine.found import Transition
from streams.engine.outgoing import emitted, told
from streams.notify.plan.delivery import Source
from streams.notify.plan.news import read
from streams.simulate.rehearsal import Sight


class _Mark(msgspec.Struct):
    """What tells a transition from an event."""

    transition_id: str
    effective_at: str


_decode_mark = msgspec.json.Decoder(_Mark).decode


def is_transition(value: bytes) -> bool:
    try:
        _decode_mark(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def sights_of(transitions: Iterable[Transition]) -> list[Sight]:
    """Of a replay, which has them in the order of time."""
    ending = emitted(None)
    return [sight_of(told(one, ending).value, offset) for offset, one in enumerate(transitions)]


def sight_of(value: bytes, offset: int) -> Sight:
    """Raises `schemas.dead_letter.Rejected`."""
    news = read(value)
    key = news.account_id.encode()
    return Sight(news, Source(0, offset, news.effective_at_ms, key, value))


def in_order(sights: Iterable[Sight]) -> list[Sight]:
    """A topic has them in order by account only."""
    return sorted(sights, key=lambda one: (one.news.effective_at_ms, one.news.account_id, _sequence(one)))


def _sequence(sight: Sight) -> int:
    found = sight.news.fields.get("sequence")
    return found if isinstance(found, int) else 0
