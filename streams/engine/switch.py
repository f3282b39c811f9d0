"""One account under a new catalog: what it is a member of from here on.

The account is brought to the moment of the change under the old rules (by the caller), then: memberships of segments
that no longer exist end, of two members that now share a group the later one ends, checklist steps whose count was
reached before anyone asked are done now, and the new rules are evaluated. All of it is triggered by the catalog.
"""

from streams.engine.account import Account, writable
from streams.engine.found import Transition
from streams.engine.population import Thresholds
from streams.engine.program import Program
from streams.engine.transitions import evaluate, known_facts
from streams.engine.working import Working


def switch(
    account_id: str, account: Account, old: Program, new: Program, thresholds: Thresholds
) -> tuple[Working, list[Transition]]:
    """The working set under the new program, and the transitions of the change."""
    transitions = [_leave(account_id, account, old, segment, new) for segment in _without_place(account, old, new)]
    for name in [known for known in account.measures if known not in new.aggregates]:
        del account.measures[name]
    for event, steps in new.steps.items():
        series = account.events.get(event)
        for key, needed in steps:
            if series is not None and series.total >= needed:
                account.steps = writable(account.steps)
                account.steps.setdefault(key, account.now)
    account.ranks = None
    working = Working(new, account, thresholds)
    transitions += evaluate(account_id, account, working, "catalog")
    return working, transitions


def _without_place(account: Account, old: Program, new: Program) -> list[str]:
    """The memberships that the new catalog has no place for, in the old catalog's order."""
    gone = []
    taken: set[str] = set()
    for segment in sorted(account.members, key=lambda known: old.bits.get(known, len(old.bits))):
        if segment not in new.bits:
            gone.append(segment)
            continue
        group = new.segments[new.bits[segment]].group
        if group is not None and group in taken:
            gone.append(segment)
        elif group is not None:
            taken.add(group)
    return gone


def _leave(account_id: str, account: Account, old: Program, segment: str, new: Program) -> Transition:
    entered_at = account.members.pop(segment)
    account.exits[segment] = account.now
    account.sequence += 1
    bit = old.bits.get(segment)
    return Transition(
        account_id=account_id,
        segment=segment,
        direction="exited",
        group=None if bit is None else old.segments[bit].group,
        from_segment=None,
        effective_at=account.now,
        sequence=account.sequence,
        catalog_version=new.version,
        evidence={"values": {}, "failed": ["the catalog has no place for this membership any more"]},
        trigger="catalog",
        entered_at=entered_at,
        facts=known_facts(account, new),
    )
