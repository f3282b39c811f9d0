"""What the demo shows: rates, accounts per segment, the latest transitions with their reason, the latest messages.

Fed from the topics and the Slack stand-in, pictured as a table at a terminal, as lines elsewhere.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from schemas.membership import WireMembership
from schemas.transition import Direction, WireTransition

LATEST_TRANSITIONS: Final = 10
LATEST_MESSAGES: Final = 6
REASON_CHARS_MAX: Final = 90
READINGS_SHOWN: Final = 3


@dataclass(slots=True)
class Figures:
    """How far everything is."""

    published: int = 0
    applied: int = 0
    applied_per_s: float = 0.0
    lag: int | None = None
    log_time: str | None = None
    phase: str = "starting"


@dataclass(slots=True)
class Board:
    figures: Figures = field(default_factory=Figures)
    transitions: Counter[Direction] = field(default_factory=Counter)
    accounts: dict[str, tuple[str, ...]] = field(default_factory=dict)  # account -> its segments
    per_segment: Counter[str] = field(default_factory=Counter)
    latest: deque[WireTransition] = field(default_factory=lambda: deque(maxlen=LATEST_TRANSITIONS))
    messages: deque[str] = field(default_factory=lambda: deque(maxlen=LATEST_MESSAGES))
    message_count: int = 0

    def add_transition(self, transition: WireTransition) -> None:
        self.transitions[transition.direction] += 1
        self.latest.append(transition)

    def add_membership(self, membership: WireMembership) -> None:
        self.per_segment.subtract(self.accounts.get(membership.account_id, ()))
        segments = tuple(one.segment for one in membership.segments)
        self.accounts[membership.account_id] = segments
        self.per_segment.update(segments)

    def add_message(self, text: str) -> None:
        self.message_count += 1
        self.messages.append(text)

    def picture(self) -> Group:
        """As a renderable for a terminal."""
        return Group(
            self._headline(), Text(), self._segment_table(), Text(), self._transition_table(), Text(), *self._told()
        )

    def summary(self) -> str:
        figures = self.figures
        return (
            f"{figures.published:,} events published, {figures.applied:,} records applied, "
            f"{len(self.accounts):,} accounts, {self.transitions.total():,} transitions, "
            f"{self.message_count} messages in Slack"
        )

    def _headline(self) -> Text:
        figures = self.figures
        parts = [
            figures.phase,
            f"{figures.published:,} published",
            f"{figures.applied:,} applied ({figures.applied_per_s:,.0f}/s)",
            f"lag {'?' if figures.lag is None else format(figures.lag, ',')}",
            f"{self.transitions.total():,} transitions",
            f"{self.message_count} messages",
        ]
        if figures.log_time:
            parts.append(f"log time {figures.log_time}")
        return Text("  ".join(parts), style="bold")

    def _segment_table(self) -> Table:
        table = Table(box=None, padding=(0, 3, 0, 0), title="Accounts per segment", title_justify="left")
        ranked = [(segment, count) for segment, count in self.per_segment.most_common() if count > 0]
        columns = 3
        for _ in range(columns):
            table.add_column()
            table.add_column(justify="right")
        for row in range(-(-len(ranked) // columns)):
            cells = ranked[row * columns : (row + 1) * columns]
            table.add_row(*(part for segment, count in cells for part in (segment, f"{count:,}")))
        return table

    def _transition_table(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), title="Latest transitions", title_justify="left")
        for column in ("effective", "account", "", "segment", "because"):
            table.add_column(column, no_wrap=True)
        for transition in reversed(self.latest):
            table.add_row(
                transition.effective_at[:16].replace("T", " "),
                transition.account_id,
                transition.direction,
                transition.segment,
                reason(transition),
            )
        return table

    def _told(self) -> list[Text]:
        return [
            Text("Slack", style="italic"),
            *(Text(message, overflow="ellipsis", no_wrap=True) for message in self.messages),
        ]


def reason(transition: WireTransition) -> str:
    """Why, in one line: what let it be seen, what failed or held, and the first values the rule saw."""
    evidence: dict[str, Any] = transition.evidence
    trigger = transition.trigger
    cause = trigger if isinstance(trigger, str) else trigger.type
    decided = [*evidence.get("held", ()), *(f"not {part}" for part in evidence.get("failed", ()))]
    values = [f"{text} = {value}" for text, value in list(evidence.get("values", {}).items())[:READINGS_SHOWN]]
    line = f"{cause}: {'; '.join(decided[:1] or values)}"
    return line if len(line) <= REASON_CHARS_MAX else line[: REASON_CHARS_MAX - 1] + "…"


def line_of(transition: WireTransition) -> str:
    """A transition as one line of text."""
    moved = f" from {transition.from_segment}" if transition.from_segment else ""
    return (
        f"{transition.effective_at}  {transition.account_id}  {transition.direction} {transition.segment}{moved}  "
        f"({reason(transition)})"
    )
