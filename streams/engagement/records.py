"""Records of what the engine found: transitions, memberships and rows; and what is counted as they are made.

Apart from the stage because it is done for every second event, and compiled.
"""

from collections.abc import Sequence
from typing import Final

from schemas.transition import ANNOUNCE_HEADER, facts_header
from streams import log_events
from streams.engagement import rows
from streams.engagement.members import Members
from streams.engine.account import Account
from streams.engine.found import Transition
from streams.engine.outgoing import emitted, membership_value, told, transition_headers
from streams.engine.working import Working
from streams.runtime.stage import Output
from streams.topics import Topics

_ACCOUNT: Final = rows.ACCOUNT


class Records:
    """Of one partition."""

    def __init__(self, topics: Topics) -> None:
        self._transitions = topics.transitions
        self._memberships = topics.membership
        self._fresh: list[tuple[int, str]] = []
        self.members = Members()
        self.counts: dict[str, int] = {}
        """How many transitions there were, by count name."""

    def of_transitions(
        self, transitions: list[Transition], emitted_at_ms: int | None, traced: Sequence[tuple[str, bytes]]
    ) -> list[Output]:
        """`traced`: the headers of what a record led to."""
        topic, ending, counts, members = self._transitions, emitted(emitted_at_ms), self.counts, self.members
        logs = log_events.LOGGER.isEnabledFor(log_events.DEBUG)
        records: list[Output] = []
        for found in transitions:
            written = told(found, ending)
            headers = transition_headers(written.transition_id, written.effective_at, written.account_id)
            if found.announced:
                headers.append((ANNOUNCE_HEADER, b"true"))
            if found.facts and (facts := facts_header(found.facts.items())):
                headers.append(facts)
            if traced and not isinstance(found.trigger, str):
                headers += traced
            records.append(Output(topic, written.account_id, written.value, headers))
            counts[written.count] = counts.get(written.count, 0) + 1
            members.note(found)
            if found.arrived_at is not None:
                self._fresh.append((found.arrived_at, written.transition_id.decode()))
            if logs:
                _tell(found, written.transition_id.decode())
        return records

    def of_memberships(self, accounts: list[tuple[str, Account, Working]]) -> list[Output]:
        topic = self._memberships
        return [
            Output(topic, account_id.encode(), membership_value(account_id, account, working))
            for account_id, account, working in accounts
        ]

    def take_fresh(self) -> list[tuple[int, str]]:
        """Of the transitions since the last call that a record led to: when it arrived, and the transition's id."""
        fresh, self._fresh = self._fresh, []
        return fresh


def account_rows(changes: list[tuple[str, bytes]]) -> list[tuple[bytes, bytes | None]]:
    return [(_ACCOUNT + account_id.encode(), stored) for account_id, stored in changes]


def _tell(found: Transition, transition_id: str) -> None:
    log_events.TRANSITION.tell(
        transition_id=transition_id,
        direction=found.direction,
        segment=found.segment,
        trigger=found.trigger if isinstance(found.trigger, str) else "record",
    )
