"""What a rebuilt account owes to those who were told something else. Pure.

Theory of operation. What was published last about an account is its membership record, written in one transaction with
its transitions. The rebuilt state may agree with it or not:

    reason       the rebuilt account ...                                            what is written
    same         has the published sequence and memberships                         nothing
    continued    has more transitions, and they lead from what was published to     these transitions, as they are
                 it: work in hand that no flush had come to, or nothing published
    corrected    has other memberships                                              transitions with the trigger
                                                                                    `rebuild`, which nobody is told
    renumbered   has the published memberships under another sequence or date       nothing

A sequence goes on from the one that was published, whatever the rebuilt one was: without a gap, without a repeat. Where
a membership was published, its date stays, for those who were told would otherwise see a stay change its beginning.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from schemas.membership import WireMembership
from schemas.timestamps import parse_ms
from schemas.transition import Direction, WireTransition
from streams.engine.account import Account
from streams.engine.found import Transition
from streams.engine.program import Program

EVIDENCE = {"values": {}, "held": ["the state rebuilt from the log says so"]}


class Reason(StrEnum):
    """How a rebuilt account stands to what was published."""

    SAME = "same"
    CONTINUED = "continued"
    CORRECTED = "corrected"
    RENUMBERED = "renumbered"


@dataclass(frozen=True, slots=True)
class Published:
    """What was told last: the sequence, and since when which segments."""

    sequence: int = 0
    members: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def of(membership: WireMembership) -> "Published":
        entered = {one.segment: parse_ms(one.entered_at) for one in membership.segments}
        return Published(membership.sequence, {segment: at for segment, at in entered.items() if at is not None})


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The decision. `corrections` and `continuation` are to be written, at most one of them is not empty."""

    reason: Reason
    corrections: Sequence[Transition] = ()
    continuation: Sequence[WireTransition] = ()


def reconcile(
    account_id: str, account: Account, published: Published, tail: Sequence[WireTransition], program: Program
) -> Reconciled:
    """Decide, and bring the account in line with what was published.

    `tail` are the transitions of the rebuilt account beyond the published sequence, in their order.
    """
    if account.sequence == published.sequence and account.members == published.members:
        return Reconciled(Reason.SAME)
    if tail and _leads_to(published, tail, account):
        return Reconciled(Reason.CONTINUED, continuation=tail)
    account.sequence = published.sequence
    # Dates of entry have changed, and with them when a stay may end: to ask once too often is never wrong.
    account.next_at = min(account.next_at, account.now + 1)
    corrections = _corrections(account_id, account, published, program)
    return Reconciled(Reason.CORRECTED if corrections else Reason.RENUMBERED, corrections)


def _leads_to(published: Published, tail: Iterable[WireTransition], account: Account) -> bool:
    """Whether the transitions, made where the published story ends, come to the rebuilt account."""
    sequence, members = published.sequence, dict(published.members)
    for one in tail:
        sequence += 1
        if one.sequence != sequence:
            return False
        left = one.from_segment if one.direction is Direction.MOVED else one.segment
        if one.direction is not Direction.ENTERED and (left is None or members.pop(left, None) is None):
            return False
        if one.direction is not Direction.EXITED:
            entered_at = parse_ms(one.effective_at)
            if one.segment in members or entered_at is None:
                return False
            members[one.segment] = entered_at
    return sequence == account.sequence and members == account.members


def _corrections(account_id: str, account: Account, published: Published, program: Program) -> list[Transition]:
    """From the published memberships to the rebuilt ones: at most one transition per segment or group."""
    wanted, told = account.members, published.members
    account.members = {segment: told.get(segment, at) for segment, at in wanted.items()}
    found = []
    for unit in program.units:
        segments = [one.id for bit, one in enumerate(program.segments) if unit.mask >> bit & 1]
        left = next((one for one in segments if one in told and one not in wanted), None)
        entered = next((one for one in segments if one in wanted and one not in told), None)
        if left is not None or entered is not None:
            found.append(_correction(account_id, account, published, left, entered, program))
    unknown = [segment for segment in told if segment not in program.bits]
    return found + [_correction(account_id, account, published, segment, None, program) for segment in unknown]


def _correction(
    account_id: str,
    account: Account,
    published: Published,
    left: str | None,
    entered: str | None,
    program: Program,
) -> Transition:
    now = account.now
    if left is not None:
        account.exits[left] = now
    if entered is not None:
        account.members[entered] = now
    account.sequence += 1
    segment = entered or left
    assert segment is not None, "something changed"
    bit = program.bits.get(segment)
    return Transition(
        account_id=account_id,
        segment=segment,
        direction="moved" if left and entered else "entered" if entered else "exited",
        group=None if bit is None else program.segments[bit].group,
        from_segment=left if entered else None,
        effective_at=now,
        sequence=account.sequence,
        catalog_version=program.version,
        evidence=EVIDENCE,
        trigger="rebuild",
        entered_at=None if left is None else published.members[left],
    )
