"""What HubSpot's answers mean.

A 4xx body names a `category`, and in `errors` codes; both are tables here. Three things are HubSpot's own:

* A batch is answered with 207 if some of it failed. Errors name the inputs by `context.objectWriteTraceId`, which is
  what was sent with each, or by `context.ids`.
* A batch of which nothing became anything is answered like a success. An input that stands neither among the results
  nor among the errors was not written.
* What is missing in the account (a property, its uniqueness, a scope) refuses every record alike. That is no fault of a
  record, so nothing is thrown away: it waits as `AUTH` until somebody has mended it. `pegel destination prepare` makes
  missing properties.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from streams.connectors.batches import Answered, Refused
from streams.connectors.http import Answer, Unanswered
from streams.connectors.hubspot.limits import headers_wait_s, policy_wait_s
from streams.connectors.outcome import Outcome, OutcomeKind, Scope, ok, throttled
from streams.connectors.retry_after import retry_after_s
from streams.connectors.statuses import kind_of

LOCKED_S: Final = 2.0
MIGRATION_S: Final = 600.0

SILENT: Final = "silent_no_op"
UNREADABLE: Final = "unreadable_answer"

STATUSES: Final[dict[int, OutcomeKind]] = {
    # Companies and tasks are addressed by what HubSpot itself said, so a path that is not there is the API version.
    404: OutcomeKind.AUTH,
    # Nobody is asked to retire an account's API for good.
    410: OutcomeKind.AUTH,
    414: OutcomeKind.REJECTED,
}

WORDS: Final[dict[str, OutcomeKind]] = {
    # Nothing of this kind can be written until somebody changes the HubSpot account or the destination
    "PROPERTY_DOESNT_EXIST": OutcomeKind.AUTH,
    "PROPERTY_NOT_UNIQUE": OutcomeKind.AUTH,
    "READ_ONLY_VALUE": OutcomeKind.AUTH,
    "MISSING_SCOPES": OutcomeKind.AUTH,
    "INVALID_AUTHENTICATION": OutcomeKind.AUTH,
    "EXPIRED_AUTHENTICATION": OutcomeKind.AUTH,
    # This record
    "INVALID_OPTION": OutcomeKind.REJECTED,
    "INVALID_INTEGER": OutcomeKind.REJECTED,
    "INVALID_LONG": OutcomeKind.REJECTED,
    "INVALID_DATE": OutcomeKind.REJECTED,
    "INVALID_EMAIL": OutcomeKind.REJECTED,
    "INVALID_BOOLEAN": OutcomeKind.REJECTED,
    "VALUE_TOO_LONG": OutcomeKind.REJECTED,
    "VALIDATION_ERROR": OutcomeKind.REJECTED,
    "OBJECT_NOT_FOUND": OutcomeKind.REJECTED,
    # Somebody else writes the same record just now
    "CONFLICT": OutcomeKind.RETRY_RECORD,
    "UNIQUE_VALUE_CONFLICT": OutcomeKind.RETRY_RECORD,
}
NOT_UNIQUE: Final = "non-unique"
QUOTED: Final = re.compile(r'"([A-Z]+_[A-Z_]+)"')
"""HubSpot puts the codes of invalid values into the message, as JSON."""
MAYBE_ONE_RECORDS: Final = frozenset({400, 409, 413, 422})
"""Statuses of a whole batch that one of its inputs may be the reason of."""


class _Problem(msgspec.Struct):
    category: str = ""
    code: str = ""
    message: str = ""
    context: Any = None
    errors: list["_Problem"] = msgspec.field(default_factory=list)


class _Result(msgspec.Struct):
    id: str = ""
    objectWriteTraceId: str = ""  # noqa: N815 - HubSpot's name
    properties: dict[str, Any] | None = None


class _Body(msgspec.Struct):
    category: str = ""
    message: str = ""
    policyName: str = ""  # noqa: N815 - HubSpot's name
    errors: list[_Problem] = msgspec.field(default_factory=list)
    results: list[_Result] = msgspec.field(default_factory=list)


def _decoded(body: bytes) -> _Body | None:
    try:
        return msgspec.json.decode(body, type=_Body, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def failure_of(answer: Answer, now_ms: int, zone: ZoneInfo) -> Outcome:
    """The outcome of an answer that is no success."""
    body = _decoded(answer.body) or _Body()
    if answer.status == 429:
        return _too_fast(answer, body, now_ms, zone)
    if answer.status == 423:
        locked_s = max(LOCKED_S, retry_after_s(answer.retry_after, now_ms) or 0.0)
        return throttled(locked_s, "423", Scope.ACCOUNT)
    if answer.status == 477:
        moving_s = retry_after_s(answer.retry_after, now_ms)
        return throttled(MIGRATION_S if moving_s is None else moving_s, "477")
    word = _word(_Problem(body.category, "", body.message, None, body.errors)) if 400 <= answer.status < 500 else ""
    kind = WORDS.get(word) or STATUSES.get(answer.status) or kind_of(answer.status)
    return Outcome(kind, f"{answer.status} {word.lower()}".rstrip())


def _too_fast(answer: Answer, body: _Body, now_ms: int, zone: ZoneInfo) -> Outcome:
    after_s = retry_after_s(answer.retry_after, now_ms)
    if after_s is None:
        after_s = policy_wait_s(body.policyName, now_ms, zone)
    if after_s is None:
        after_s = headers_wait_s(answer.headers, now_ms, zone)
    return throttled(after_s, "429")


def _word(problem: _Problem) -> str:
    """The most telling word that is known: codes say more than categories, and some stand in a message's text."""
    if NOT_UNIQUE in problem.message:
        return "PROPERTY_NOT_UNIQUE"
    inner = (_word(each) for each in problem.errors)
    spelled = (word for word in QUOTED.findall(problem.message) if word in WORDS)
    return next((word for word in (*inner, problem.code, *spelled, problem.category) if word in WORDS), "")


@dataclass(frozen=True, slots=True)
class Sent:
    """What identifies the inputs of a batch, in their order."""

    traces: Sequence[str]
    keys: Sequence[str]
    id_property: str


def told(answer: Answer | Unanswered, sent: Sent, failed: Outcome | None) -> Answered:
    """What a batch upsert's answer says of each input; `failed` is what `failure_of` says where it is no success."""
    traces = sent.traces
    if isinstance(answer, Unanswered):
        return [answer.outcome()] * len(traces)
    if failed is not None:
        if answer.status in MAYBE_ONE_RECORDS and failed.kind in {OutcomeKind.REJECTED, OutcomeKind.RETRY_RECORD}:
            return Refused(failed)
        return [failed] * len(traces)
    body = _decoded(answer.body)
    if body is None:
        # A page of somebody in between, or an answer that broke off.
        return [Outcome(OutcomeKind.AMBIGUOUS, UNREADABLE)] * len(traces)
    return _correlated(body, sent)


def _correlated(body: _Body, sent: Sent) -> Answered:
    written: dict[str, str] = {}
    for result in body.results:
        key = str((result.properties or {}).get(sent.id_property) or "")
        written |= dict.fromkeys(filter(None, (result.objectWriteTraceId, key)), result.id)
    failed: dict[str, Outcome] = {}
    unnamed: list[Outcome] = []
    for problem in body.errors:
        outcome = _of_one(problem)
        named = _named(problem.context)
        failed.update(dict.fromkeys(named, outcome))
        if not named:
            unnamed.append(outcome)
    outcomes: list[Outcome | None] = [
        failed.get(trace) or failed.get(key) or _success(written, trace, key)
        for trace, key in zip(sent.traces, sent.keys, strict=True)
    ]
    if not any(outcome is None for outcome in outcomes):
        return [outcome for outcome in outcomes if outcome is not None]
    if unnamed:
        # Somebody's failure. Alone in a request everyone is told about; who has succeeded is written once more.
        return Refused(unnamed[0])
    # Nothing at all: the destination is unwell. Some: those are.
    nobody = not any(outcomes)
    missing = Outcome(OutcomeKind.RETRY_DESTINATION if nobody else OutcomeKind.RETRY_RECORD, SILENT)
    return [outcome or missing for outcome in outcomes]


def _success(written: Mapping[str, str], trace: str, key: str) -> Outcome | None:
    found = next((written[each] for each in (trace, key) if each in written), None)
    return None if found is None else ok(found or None)


def _of_one(problem: _Problem) -> Outcome:
    word = _word(problem)
    return Outcome(WORDS.get(word, OutcomeKind.REJECTED), f"207 {word.lower()}".rstrip())


def _named(context: Any) -> list[str]:
    if not isinstance(context, dict):
        return []
    found: list[str] = []
    for name in ("objectWriteTraceId", "ids", "id"):
        value = context.get(name)
        found += [value] if isinstance(value, str) else [each for each in value or [] if isinstance(each, str)]
    return found


def id_of(body: bytes) -> str:
    """The id of an object that was made or read; empty if there is none."""
    try:
        return msgspec.json.decode(body, type=_Result, strict=False).id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
