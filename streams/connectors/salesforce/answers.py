"""What Salesforce's answers mean.

A refused request is answered with a list of `{"errorCode", "message"}`; a collection with HTTP 200 and one result per
record, in their order, each with `errors: [{"statusCode", "message"}]`. The codes of both are one table. Salesforce
never says how long to wait: throttles without an end are the notifier's to space.

A field, an object or a right that is missing refuses every record alike. That is no fault of a record: it waits as
`AUTH` until somebody has mended it, and nothing is thrown away.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from streams.connectors.http import Answer
from streams.connectors.outcome import Outcome, OutcomeKind, ok, throttled
from streams.connectors.retry_after import retry_after_s
from streams.connectors.statuses import kind_of

ALLOWANCE_S: Final = 900.0
"""The allowance is of the last 24 hours, so some of it comes back all the time."""
UNREADABLE: Final = "unreadable_answer"
SESSION_ENDED: Final = "INVALID_SESSION_ID"
USAGE: Final = re.compile(r"api-usage=(\d{1,12})/(\d{1,12})")

CODES: Final[dict[str, OutcomeKind]] = {
    # Somebody must change the organisation, the connected app or the destination
    "INVALID_SESSION_ID": OutcomeKind.AUTH,
    "INSUFFICIENT_ACCESS": OutcomeKind.AUTH,
    "INSUFFICIENT_ACCESS_OR_READONLY": OutcomeKind.AUTH,
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": OutcomeKind.AUTH,
    "API_DISABLED_FOR_ORG": OutcomeKind.AUTH,
    "API_CURRENTLY_DISABLED": OutcomeKind.AUTH,
    "FUNCTIONALITY_NOT_ENABLED": OutcomeKind.AUTH,
    "INVALID_FIELD": OutcomeKind.AUTH,
    "INVALID_FIELD_FOR_INSERT_UPDATE": OutcomeKind.AUTH,
    "INVALID_TYPE": OutcomeKind.AUTH,
    "NOT_FOUND": OutcomeKind.AUTH,
    "JSON_PARSER_ERROR": OutcomeKind.REJECTED,
    # Too much
    "REQUEST_LIMIT_EXCEEDED": OutcomeKind.THROTTLED,
    # Salesforce is unwell
    "SERVER_UNAVAILABLE": OutcomeKind.RETRY_DESTINATION,
    "UNKNOWN_EXCEPTION": OutcomeKind.RETRY_DESTINATION,
    # This record, for now
    "UNABLE_TO_LOCK_ROW": OutcomeKind.RETRY_RECORD,
    "DUPLICATE_VALUE": OutcomeKind.RETRY_RECORD,
    "PROCESSING_HALTED": OutcomeKind.RETRY_RECORD,
    "ALL_OR_NONE_OPERATION_ROLLED_BACK": OutcomeKind.RETRY_RECORD,
    "QUERY_TIMEOUT": OutcomeKind.RETRY_RECORD,
    # This record, for ever
    "DUPLICATES_DETECTED": OutcomeKind.REJECTED,
    "DUPLICATE_EXTERNAL_ID": OutcomeKind.REJECTED,
    "REQUIRED_FIELD_MISSING": OutcomeKind.REJECTED,
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": OutcomeKind.REJECTED,
    "FIELD_INTEGRITY_EXCEPTION": OutcomeKind.REJECTED,
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": OutcomeKind.REJECTED,
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": OutcomeKind.REJECTED,
    "STRING_TOO_LONG": OutcomeKind.REJECTED,
    "NUMBER_OUTSIDE_VALID_RANGE": OutcomeKind.REJECTED,
    "ENTITY_IS_DELETED": OutcomeKind.REJECTED,
    "INVALID_CROSS_REFERENCE_KEY": OutcomeKind.REJECTED,
    "MALFORMED_ID": OutcomeKind.REJECTED,
}
STATUSES: Final[dict[int, OutcomeKind]] = {
    300: OutcomeKind.REJECTED,  # several records have this external id; somebody must merge them
    404: OutcomeKind.AUTH,  # no such object, field or version
    410: OutcomeKind.AUTH,
}
SEVERAL: Final = "300 several_records"
FIELD_WORDS: Final = "external id field"
RECORD_WORDS: Final = "requested resource does not exist"


class _Error(msgspec.Struct):
    errorCode: str = ""  # noqa: N815 - Salesforce's name
    statusCode: str = ""  # noqa: N815 - Salesforce's name
    message: str = ""

    @property
    def code(self) -> str:
        return self.errorCode or self.statusCode


class _Result(msgspec.Struct):
    id: str | None = None
    success: bool | None = None
    """Stands in every result; where it does not, the answer is somebody else's."""
    errors: list[_Error] = msgspec.field(default_factory=list)


def failure_of(answer: Answer, now_ms: int) -> Outcome:
    """The outcome of an answer that is no success."""
    if answer.status == 300:
        return Outcome(OutcomeKind.REJECTED, SEVERAL)
    errors = errors_of(answer)
    code = next((error.code for error in errors if error.code in CODES), "")
    kind = CODES.get(code) or STATUSES.get(answer.status) or kind_of(answer.status)
    if answer.status >= 500:
        kind = kind_of(answer.status)
    detail = f"{answer.status} {code.lower()}".rstrip()
    if kind is not OutcomeKind.THROTTLED:
        return Outcome(kind, detail)
    after_s = retry_after_s(answer.retry_after, now_ms)
    return throttled(allowance_wait_s(answer.headers) if after_s is None else after_s, detail)


def errors_of(answer: Answer) -> list[_Error]:
    try:
        return msgspec.json.decode(answer.body, type=list[_Error])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


class Missing(StrEnum):
    """What a 404 is about."""

    RECORD = "record"
    FIELD = "field"
    PATH = "path"


def missing(answer: Answer) -> Missing:
    """Salesforce says the same code for a record and for its external id field; the text tells them apart."""
    errors = [error for error in errors_of(answer) if error.code == "NOT_FOUND"]
    if any(FIELD_WORDS in error.message.lower() for error in errors):
        return Missing.FIELD
    return Missing.RECORD if any(RECORD_WORDS in error.message.lower() for error in errors) else Missing.PATH


def session_ended(answer: Answer) -> bool:
    return answer.status == 401


def allowance_wait_s(headers: Mapping[str, str]) -> float | None:
    """How long to leave Salesforce alone because the day's requests are used up; `None`: they are not."""
    found = USAGE.search(headers.get("Sforce-Limit-Info", ""))
    return ALLOWANCE_S if found and int(found[1]) >= int(found[2]) else None


def each_of(answer: Answer, count: int) -> list[Outcome] | None:
    """The outcomes of a collection's records; `None` if the answer does not hold one for each."""
    try:
        results = msgspec.json.decode(answer.body, type=list[_Result])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    whole = len(results) == count and all(result.success is not None for result in results)
    return [_of_one(result) for result in results] if whole else None


def one_of(answer: Answer) -> Outcome | None:
    """The outcome of a single upsert; `None` if the answer does not hold one."""
    try:
        result = msgspec.json.decode(answer.body, type=_Result)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return None if result.success is None else _of_one(result)


def _of_one(result: _Result) -> Outcome:
    if result.success:
        return ok(result.id)
    code = next((error.code for error in result.errors if error.code in CODES), "")
    kind = CODES.get(code, OutcomeKind.REJECTED)
    return throttled(None, code.lower()) if kind is OutcomeKind.THROTTLED else Outcome(kind, code.lower() or "refused")
