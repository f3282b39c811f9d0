"""Plays whose destination keeps a state per account: what would leave something standing there that is no longer so."""

from collections.abc import Iterable, Iterator

from schemas.playbook import Play
from schemas.transition import Direction
from streams.notify.playbooks.document import Document
from streams.notify.playbooks.problems import Problem


def list_problems(document: Document, plays: Iterable[Play]) -> Iterator[Problem]:
    """Lists, of which such a destination can take nothing."""
    for play in plays:
        if play.roster is not None:
            yield document.problem(
                ("plays", play.id, "list"),
                f"{play.destination} keeps a state per account, and a list says nothing of what changed",
                "send it to another destination",
            )


def state_warnings(document: Document, plays: Iterable[Play]) -> Iterator[Problem]:
    """What is not told, so that fields keep what is over."""
    for play in plays:
        if play.on is None and play.roster is None and Direction.EXITED not in play.directions:
            yield document.problem(
                ("plays", play.id, "directions"),
                f"exits are not told: {play.destination} keeps saying what accounts have left",
                "write directions: [entered, exited]",
            )
        for name in _holding_back(play):
            yield document.problem(
                ("plays", play.id, name),
                f"holds changes back: {play.destination} keeps saying what is over",
                "leave it out; the newest state is all that is written there",
            )


def _holding_back(play: Play) -> Iterator[str]:
    if play.cooldown_days is not None:
        yield "cooldown_days"
    if play.reentry is not None and (play.reentry.once or play.reentry.every_days is not None):
        yield "reentry"
    if play.inhibited_by:
        yield "inhibited_by"
