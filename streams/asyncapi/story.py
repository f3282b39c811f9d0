"""Real records of every kind: what the stages write when they are told a small story. Pure, and always the same.

Two accounts of a small catalog, three days in March: intake refuses an event of nobody, engagement lets `acme` enter,
move and leave, ranks it, and forgets `zeta`; the router tells a destination, a delivery of it is told and another one
fails. Only rows of state are left out, which are nobody's business.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.action import ActionOutcome, Reason
from schemas.catalog import Catalog
from schemas.control import CONTROL_HEADER, Erase, encode_control
from schemas.dead_letter import DeadLetter, Rejected, RejectReason
from schemas.inbox import COMMAND_HEADER, Command, CommandKind, command_record
from schemas.timestamps import DAY_MS, format_ms
from schemas.trace import TRACEPARENT
from streams.asyncapi.messages import CHANNELS
from streams.dead_letters.marks import Action as MarkAction
from streams.dead_letters.marks import Mark, Place, encode
from streams.engagement.stage import EngagementConfig, EngagementStage
from streams.engine.program import compile_catalog
from streams.intake.adapters import segment
from streams.intake.identity import Identity
from streams.intake.stage import IntakeStage, Route
from streams.notify.courier.telling import Told, action_of, dead_letters_of
from streams.notify.plan.delivery import Delivery, Source, delivery_id
from streams.notify.plan.news import read
from streams.notify.playbooks import load_playbooks
from streams.notify.router.interest import Interests
from streams.notify.router.stage import RouterStage
from streams.runtime.rejects import UNLIMITED, RejectWindow
from streams.runtime.stage import Headers, Output
from streams.topics import Topics

START_MS: Final = 20_513 * DAY_MS  # 2026-03-01
DESTINATION: Final = "team"
PLAY: Final = "say-hello"
ROUNDS_MAX: Final = 20

CATALOG: Final[dict[str, Any]] = {
    "format": 1,
    "name": "example",
    "trial_days": 2,
    "definitions": {"uses": 'count("*", days=28)'},
    "account_facts": ["name"],
    "segments": [
        {"id": "trial", "when": 'stage == "trial"', "group": "lifecycle"},
        {"id": "expired", "when": 'stage == "expired"', "group": "lifecycle"},
        {"id": "heating_up", "when": 'count("*", days=1) >= 2'},
        {"id": "top", "when": 'top_percent("uses", 50)'},
    ],
}
EVENTS: Final[tuple[tuple[int, dict[str, Any]], ...]] = (
    (0, {"type": "group", "messageId": "m1", "userId": "u-17", "groupId": "acme", "traits": {"name": "Acme Ltd"}}),
    (60_000, {"type": "track", "messageId": "m2", "userId": "u-17", "event": "report_created"}),
    (120_000, {"type": "track", "messageId": "m3", "userId": "u-17", "event": "report_created"}),
    (180_000, {"type": "track", "messageId": "m4", "userId": "u-99", "event": "report_created"}),
    (240_000, {"type": "page", "messageId": "m5", "userId": "u-20", "name": "home", "context": {"groupId": "zeta"}}),
)
"""Milliseconds after the start, and the event. `m4` is of nobody's account."""
TRACED: Final = "m3"
TRACE: Final = (TRACEPARENT, b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


@dataclass(frozen=True, slots=True)
class Seen:
    """A record of the story, as it lies in its topic."""

    channel: str
    message: str
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class _Fetched:
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)


def tell(topics: Topics) -> list[Seen]:
    """All records, in the order in which they are written. What is refused here is no news for a log."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        return _told(topics)
    finally:
        logging.disable(disabled)


def _told(topics: Topics) -> list[Seen]:
    events = [_event(after_ms, fields) for after_ms, fields in EVENTS]
    intake = IntakeStage(
        0, Route(topics.product_events, topics.account_events, topics.product_events_dlq),
        segment.adapt, Identity(None), RejectWindow(UNLIMITED),
    )  # fmt: skip
    intake.apply(events)
    accepted = intake.drain().outputs
    decided = _decide(accepted, topics)
    transitions = [one for one in decided if one.topic == topics.transitions]
    notified = list(_notify(transitions, topics))
    written = [*(_published(event, topics) for event in events), *accepted, *decided, *notified]
    names = {getattr(topics, name): name for name in CHANNELS}
    return [_seen(output, names[output.topic]) for output in written]


def _event(after_ms: int, fields: dict[str, Any]) -> _Fetched:
    at = format_ms(START_MS + after_ms)
    value = json.dumps({**fields, "timestamp": at, "receivedAt": at}).encode()
    headers: list[tuple[str, bytes | None]] = [TRACE] if fields["messageId"] == TRACED else []
    return _Fetched(after_ms // 60_000, START_MS + after_ms, fields["userId"].encode(), value, headers)


def _published(event: _Fetched, topics: Topics) -> Output:
    return Output(topics.product_events, event.key, event.value, event.headers)


def _decide(accepted: Iterable[Output], topics: Topics) -> list[Output]:
    """What engagement makes of the log, to which its own control records come back."""
    program = compile_catalog(Catalog.model_validate(CATALOG))
    stage = EngagementStage(0, EngagementConfig(program, topics, 1, "wall", clock_hold_ms=0))
    written: list[Output] = []
    log = [one for one in accepted if one.topic == topics.account_events]
    erased, old = encode_control(Erase(account_id="zeta")), _event(-200 * DAY_MS, EVENTS[1][1] | {"messageId": "m0"})
    for at_ms in (START_MS + 300_000, START_MS + DAY_MS + 120_000, START_MS + 3 * DAY_MS):
        written += _settle(stage, log, at_ms, topics)
        log = []
    late = Output(topics.account_events, b"acme", old.value, timestamp_ms=at_ms)
    order = Output(topics.account_events, None, erased[1], (erased[0],), 0, at_ms)
    refused = Output(topics.account_events, None, b"{}", ((CONTROL_HEADER, b"clock"),), 0, at_ms)
    return [*written, order, *_settle(stage, [late, order, refused], at_ms, topics)]


def _settle(stage: EngagementStage, log: list[Output], now_ms: int, topics: Topics) -> list[Output]:
    written: list[Output] = []
    for _ in range(ROUNDS_MAX):
        stage.apply([_fetched(output, number) for number, output in enumerate(log)])
        stage.on_tick(now_ms, caught_up=True)
        while stage.work_off():
            pass
        outputs = stage.drain().outputs
        written += outputs
        log = [one for one in outputs if one.topic == topics.account_events]
        if not outputs:
            return written
    raise AssertionError("the story never comes to its end")


def _fetched(output: Output, offset: int) -> _Fetched:
    at_ms = output.timestamp_ms if output.timestamp_ms is not None else START_MS
    return _Fetched(offset, at_ms, output.key, output.value, list(output.headers))


def _notify(transitions: list[Output], topics: Topics) -> Iterator[Output]:
    """What the router writes of the transitions, what operators write, and what becomes of two deliveries."""
    playbooks = load_playbooks("console", {})
    interests = Interests([playbooks.plan(name, None) for name in playbooks.destinations])
    router = RouterStage(0, interests, playbooks.destinations.keys(), topics)
    router.apply([_fetched(output, number) for number, output in enumerate(transitions)])
    yield from router.drain().outputs
    header, value = command_record(CommandKind.PAUSE, Command(START_MS, "ann", "their webhook is being moved"))
    yield Output(topics.inbox, DESTINATION.encode(), value, [header])
    told, failed = (_delivery(output, number) for number, output in enumerate(transitions[:2]))
    at_ms = START_MS + 300_000
    yield action_of(told, "slack", Told(ActionOutcome.DELIVERED, Reason.DELIVERED, 1), at_ms, topics)
    yield action_of(failed, "slack", Told(ActionOutcome.DEAD_LETTERED, Reason.REJECTED, 1, "http 404"), at_ms, topics)
    letters = list(dead_letters_of(failed, Rejected(RejectReason.REJECTED, "http 404"), topics))
    yield from letters
    place = Place(topics.transitions_dlq, 0, 0)
    mark = Mark(MarkAction.DROPPED, at_ms, format_ms(at_ms), "ann", "the channel is gone")
    yield Output(topics.dead_letter_marks, str(place).encode(), encode(mark))
    assert all(DeadLetter.from_headers(letter.headers).whole for letter in letters)


def _delivery(output: Output, offset: int) -> Delivery:
    news = read(output.value)
    source = Source(0, offset, START_MS, output.key, output.value, tuple(output.headers))
    identity = delivery_id(DESTINATION, news.transition_id, "hello")
    return Delivery(identity, PLAY, DESTINATION, "hello", START_MS, news, source)


def _seen(output: Output, channel: str) -> Seen:
    return Seen(channel, _message(output, channel), output.key, output.value, output.headers)


def _message(output: Output, channel: str) -> str:
    """Which of the channel's messages a record is."""
    kinds = CHANNELS[channel]
    named = dict(output.headers)
    if CONTROL_HEADER in named and channel == "account_events":
        kind = (named[CONTROL_HEADER] or b"").decode()
        return "catalogChange" if kind == "catalog" else kind
    if channel == "inbox":
        return "command" if COMMAND_HEADER in named else "routed"
    return kinds[0] if output.value is not None or len(kinds) == 1 else "membershipErased"
