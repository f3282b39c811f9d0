"""What an attempt to deliver can come to: eight kinds, whatever the provider.

A connector translates statuses, bodies and broken connections into one of these, and the notifier reacts to the kind
alone, at the scope of the failure:

| kind                | says                                         | the notifier                                  |
|---------------------|----------------------------------------------|-----------------------------------------------|
| `OK`                | the provider has it                          | is done with the delivery                     |
| `THROTTLED`         | too fast; `after_s` says how long to wait    | pauses the scope; no attempt was used up      |
| `RETRY_DESTINATION` | the provider is unwell; nothing was accepted | retries; counts towards the breaker           |
| `RETRY_RECORD`      | this record cannot be taken now, others can  | parks the account's lane                      |
| `AUTH`              | our credentials are refused: call a human    | opens the breaker at its longest, keeps all   |
| `REJECTED`          | this record will never be taken              | dead letter                                   |
| `GONE`              | the destination no longer exists             | dead letter, without asking again for a while |
| `AMBIGUOUS`         | sent, but the answer was lost                | retries: a repeat is better than a loss       |

`detail` is one of the connector's own closed words. It never holds a URL, a body or a header: it is logged, stored and
shown, and webhook URLs are secrets.
"""

from dataclasses import dataclass
from enum import StrEnum


class OutcomeKind(StrEnum):
    OK = "ok"
    THROTTLED = "throttled"
    RETRY_DESTINATION = "retry_destination"
    RETRY_RECORD = "retry_record"
    AUTH = "auth"
    REJECTED = "rejected"
    GONE = "gone"
    AMBIGUOUS = "ambiguous"


class Scope(StrEnum):
    """What a throttle holds back."""

    DESTINATION = "destination"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: OutcomeKind
    detail: str = ""
    ref: str | None = None
    scope: Scope = Scope.DESTINATION
    after_s: float | None = None
    """How long the provider asks to wait; `None`: it does not say."""


def ok(ref: str | None = None) -> Outcome:
    return Outcome(OutcomeKind.OK, ref=ref)


def throttled(after_s: float | None, detail: str, scope: Scope = Scope.DESTINATION) -> Outcome:
    return Outcome(OutcomeKind.THROTTLED, detail, scope=scope, after_s=after_s)
