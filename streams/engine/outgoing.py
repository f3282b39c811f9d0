"""What the engine found, in the words of the wire: transitions and memberships as `schemas` define them."""

import hashlib
import math
from typing import Any, Final
from uuid import UUID

from schemas.membership import WireMembership, WireSegmentMembership
from schemas.timestamps import format_ms
from schemas.transition import Direction, WireForecast, WireTransition, WireTrigger
from streams.engine.account import Account
from streams.engine.found import Forecast, Transition
from streams.engine.working import Working

TRANSITION_NAMESPACE: Final = UUID("0b3c5f0e-5d7a-5c1b-9b57-6f0a2a1f7f10")
_NAMESPACE_SHA1: Final = hashlib.sha1(TRANSITION_NAMESPACE.bytes, usedforsecurity=False)
_VARIANTS: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_DIRECTIONS: Final = {direction.value: direction for direction in Direction}


def transition_id(transition: Transition) -> str:
    """UUIDv5 of account, sequence, segment, direction and effective_at: equal on every replay.

    Written out after RFC 9562, section 5.5; the standard library's takes three times as long.
    """
    name = (
        f"{transition.account_id}\n{transition.sequence}\n{transition.segment}\n{transition.direction}\n"
        f"{transition.effective_at}"
    )
    sha1 = _NAMESPACE_SHA1.copy()
    sha1.update(name.encode())
    digest = sha1.hexdigest()
    variant = _VARIANTS[digest[16]]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def wire_transition(transition: Transition, emitted_at_ms: int | None) -> WireTransition:
    """The transition as it is written; `emitted_at_ms` is None in a replay."""
    trigger, entered_at = transition.trigger, transition.entered_at
    return WireTransition(
        transition_id=transition_id(transition),
        account_id=transition.account_id,
        segment=transition.segment,
        direction=_DIRECTIONS[transition.direction],
        group=transition.group,
        from_segment=transition.from_segment,
        effective_at=format_ms(transition.effective_at),
        sequence=transition.sequence,
        catalog_version=transition.catalog_version,
        evidence=transition.evidence,
        trigger=trigger if isinstance(trigger, str) else WireTrigger(message_id=trigger[0], type=trigger[1]),
        entered_at=None if entered_at is None else format_ms(entered_at),
        dwell_seconds=None if entered_at is None else (transition.effective_at - entered_at) / 1000,
        forecast=_wire_forecast(transition.forecast),
        emitted_at=None if emitted_at_ms is None else format_ms(emitted_at_ms),
    )


def _wire_forecast(forecast: Forecast | None) -> WireForecast | None:
    if forecast is None:
        return None
    return WireForecast(leaves_at=format_ms(forecast.leaves_at), direction=_DIRECTIONS[forecast.direction])


def wire_membership(account_id: str, account: Account, working: Working) -> WireMembership:
    """Where an account stands as of its own clock."""
    program, members = working.program, account.members
    return WireMembership(
        account_id=account_id,
        as_of=format_ms(account.now),
        stage=working.stage(account.now),
        sequence=account.sequence,
        segments=[
            WireSegmentMembership(segment=segment, group=program.groups[place], entered_at=format_ms(members[segment]))
            for place, segment in enumerate(program.ids)
            if segment in members
        ],
        key_numbers=_key_numbers(account, working),
        catalog_version=program.version,
    )


def _key_numbers(account: Account, working: Working) -> dict[str, Any]:
    """The catalog's definitions, and what every account has; what is unknown or infinite is null."""
    numbers = {
        "activation_rate": working.activation_rate,
        "last_active_at": format_ms(working.last_active_at),
        "mrr": working.mrr,
        "nps": working.nps,
        "usage_ratio": working.usage_ratio,
        **working.program.definitions(account, working, account.now, working.members),
    }
    return {name: _finite(value) for name, value in numbers.items()}


def _finite(value: Any) -> Any:
    return None if type(value) is float and not math.isfinite(value) else value
