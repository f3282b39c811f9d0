"""Which of what Pegel knows is written into which field of a CRM: a closed vocabulary, in a destination's config.

    properties:
      pegel_lifecycle: current            # the segment that the account is in now; empty once it has left
      pegel_since: effective_at
      pegel_score: value.score(days=7)    # what the conditions saw
      pegel_owner: fact.owner             # a trait of the account
      pegel_source: =pegel                # a constant; =true and =5 are a boolean and a number
      "pegel_in_{segment}": member        # a property per segment, true or false: lists are built on these
      "pegel_{group}": current            # a property per group of segments

A source is a name to be looked up, never an expression: nothing in a config can run. A name may hold `{segment}` or
`{group}` once: `{segment}` stands for segments outside groups, `{group}` for groups. An account is in one segment of a
group at most, and only the newest of its moves need be told: a property per segment of a group would keep what the
others have left behind.

What is known to be nothing (no segment any more, no group) clears the field. What is merely not known (a value that
this transition's conditions did not look at, a trait that was never sent) is not written: it must not erase what
people have entered.
"""

import difflib
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from pydantic import AfterValidator, Field

from streams.connectors.message import Message

Scalar = str | int | float | bool | None

PROPERTIES_MAX: Final = 50
NAME_CHARS_MAX: Final = 120
TEXT_CHARS_MAX: Final = 1_000
DAY_S: Final = 86_400

PLAIN: Final = (
    "account_id", "segment", "from_segment", "group", "direction", "effective_at", "entered_at", "sequence",
    "catalog_version", "transition_id",
)  # fmt: skip
"""Fields of the transition, as they stand on the log."""
DERIVED: Final = ("current", "member", "leaves_at", "dwell_days", "play", "title", "body", "owner")
NAMES: Final = (*PLAIN, *DERIVED)
PREFIXES: Final = ("value.", "fact.")
CONSTANT: Final = "="
PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
PLACEHOLDERS: Final = ("segment", "group")

_UNKNOWN: Final = object()


def checked_source(text: str) -> str:
    """Raises ValueError, with what there is instead."""
    if text.startswith(CONSTANT) or text in NAMES:
        return text
    if any(text.startswith(prefix) and len(text) > len(prefix) for prefix in PREFIXES):
        return text
    near = difflib.get_close_matches(text, NAMES, n=1)
    there_is = f"did you mean {near[0]}?" if near else f"there are {', '.join(NAMES)}"
    raise ValueError(f"{text!r} is nothing that can be written; {there_is}; or value.NAME, fact.NAME, =CONSTANT")


def checked_identity(text: str) -> str:
    """What may say which record an account is: something that does not change with its segments."""
    if text == "account_id" or (text.startswith("fact.") and len(text) > len("fact.")):
        return text
    raise ValueError("an account is found by account_id or by a trait, fact.NAME")


def checked_name(name: str) -> str:
    found = PLACEHOLDER.findall(name)
    if len(found) > 1 or not set(found) <= set(PLACEHOLDERS):
        raise ValueError("the name of a property may hold {segment} or {group}, once")
    if not name.strip() or not name.isprintable():
        raise ValueError("the name of a property is empty or holds control characters")
    return name


Source = Annotated[str, Field(min_length=1, max_length=TEXT_CHARS_MAX), AfterValidator(checked_source)]
Identity = Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX), AfterValidator(checked_identity)]
PropertyName = Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX), AfterValidator(checked_name)]
Properties = Annotated[dict[PropertyName, Source], Field(max_length=PROPERTIES_MAX)]


def check_names(properties: Mapping[str, str], pattern: re.Pattern[str], rule: str) -> None:
    """Raises ValueError for a name that the provider would not take, whatever stands in its placeholder."""
    for name in properties:
        if not pattern.fullmatch(PLACEHOLDER.sub("x", name)):
            raise ValueError(f"{name!r} is no name of a property: {rule}")


def identity_of(source: str, item: Mapping[str, Any], facts: Mapping[str, str]) -> str | None:
    """The value by which the account is found; `None` if it is not known."""
    if source == "account_id":
        return str(item.get("account_id") or "") or None
    return facts.get(source.removeprefix("fact.")) or None


def written(properties: Mapping[str, str], message: Message, item: Mapping[str, Any]) -> dict[str, Scalar]:
    """The fields that one transition writes."""
    facts = message.facts if item.get("account_id") == message.transition.get("account_id") else {}
    result: dict[str, Scalar] = {}
    for name, source in properties.items():
        filled = _named(name, item)
        value = _looked_up(source, item, message, facts)
        if filled is not None and value is not _UNKNOWN:
            result[filled] = _scalar(value)
    return result


def _named(name: str, item: Mapping[str, Any]) -> str | None:
    """The name with its placeholder filled in; `None` where there is nothing to fill in."""
    match = PLACEHOLDER.search(name)
    if match is None:
        return name
    group = item.get("group")
    word = group if match[1] == "group" else None if group else item.get("segment")
    return name.replace(match[0], str(word)) if word else None


def _looked_up(source: str, item: Mapping[str, Any], message: Message, facts: Mapping[str, str]) -> Any:
    if source.startswith(CONSTANT):
        return constant(source.removeprefix(CONSTANT))
    if source.startswith("fact."):
        return facts.get(source.removeprefix("fact."), _UNKNOWN)
    if source.startswith("value."):
        evidence = item.get("evidence")
        values = evidence.get("values") if isinstance(evidence, Mapping) else None
        return values.get(source.removeprefix("value."), _UNKNOWN) if isinstance(values, Mapping) else _UNKNOWN
    if source in PLAIN:
        return item.get(source)
    return _derived(source, item, message)


def _derived(source: str, item: Mapping[str, Any], message: Message) -> Any:
    member = item.get("direction") != "exited"
    forecast = item.get("forecast")
    dwell_s = item.get("dwell_seconds")
    found: dict[str, Any] = {
        "current": item.get("segment") if member else None,
        # Of a group there is more than in or out: a move out of one segment is a move into another.
        "member": _UNKNOWN if item.get("group") else member,
        "leaves_at": forecast.get("leaves_at") if member and isinstance(forecast, Mapping) else None,
        "dwell_days": round(dwell_s / DAY_S, 3) if isinstance(dwell_s, int | float) else None,
        "play": message.play,
        "title": message.rendered.title,
        "body": message.rendered.body,
        "owner": _UNKNOWN if message.owner is None else message.owner,
    }
    return found[source]


def constant(text: str) -> Scalar:
    """`true`, `5` and `"5"` as JSON reads them, anything else as it stands."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text
    return value if isinstance(value, str | bool | int | float) else text


def _scalar(value: Any) -> Scalar:
    """What a field can hold: lists and objects as JSON, infinity as nothing."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return value[:TEXT_CHARS_MAX]
    if value is None or isinstance(value, bool | int | float):
        return value
    return msgspec.json.encode(value).decode()[:TEXT_CHARS_MAX]
