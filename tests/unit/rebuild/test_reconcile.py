"""What a rebuilt account owes to those who were told something else: decided by sequence and memberships alone."""

from typing import Any

from schemas.catalog import Catalog
from schemas.transition import decode_transition
from streams.engine import outgoing
from streams.engine.account import Account, account_of
from streams.engine.found import Transition
from streams.engine.program import compile_catalog
from streams.rebuild.reconcile import Published, Reason, reconcile

PROGRAM = compile_catalog(
    Catalog.model_validate(
        {
            "format": 1,
            "name": "grouped",
            "segments": [
                {"id": "new", "when": "since(signed_up_at) < 4", "group": "life"},
                {"id": "old", "when": "True", "group": "life"},
                {"id": "busy", "when": 'count("*", days=7) >= 3'},
            ],
        }
    )
)
NOW = 10_000


def account(sequence: int, **members: int) -> Account:
    return account_of(now=NOW, next_at=NOW + 500, sequence=sequence, members=members)


def transition(sequence: int, direction: str, segment: str, at: int, **more: Any) -> Any:
    values: dict[str, Any] = {"group": None, "from_segment": None, "entered_at": None, **more}
    made = Transition("acme", segment, direction, effective_at=at, sequence=sequence, catalog_version="v",  # type: ignore[arg-type]
                      evidence={}, trigger="deadline", **values)  # fmt: skip
    return decode_transition(outgoing.told(made, outgoing.emitted(None)).value)


def test_what_was_told_is_told_again_by_nobody() -> None:
    found = reconcile("acme", account(3, busy=5), Published(3, {"busy": 5}), (), PROGRAM)
    assert (found.reason, found.corrections, found.continuation) == (Reason.SAME, (), ())


def test_work_in_hand_is_told_as_it_is() -> None:
    tail = [transition(4, "exited", "busy", 8, entered_at=5), transition(5, "entered", "new", 9)]
    rebuilt = account(5, new=9)
    found = reconcile("acme", rebuilt, Published(3, {"busy": 5}), tail, PROGRAM)
    assert found.reason is Reason.CONTINUED
    assert list(found.continuation) == tail
    assert rebuilt.sequence == 5


def test_a_tail_that_does_not_lead_from_what_was_told_is_no_continuation() -> None:
    rebuilt = account(5, new=9)
    for tail, told in (
        ([transition(5, "entered", "new", 9)], Published(3, {})),
        ([transition(4, "exited", "busy", 8, entered_at=5), transition(5, "entered", "new", 9)], Published(3, {})),
        ([transition(4, "entered", "busy", 8), transition(5, "entered", "new", 9)], Published(3, {})),
        ([transition(4, "entered", "new", 9)], Published(3, {"new": 2})),
    ):
        assert reconcile("acme", rebuilt, told, tail, PROGRAM).reason is not Reason.CONTINUED
        rebuilt = account(5, new=9)


def test_a_group_is_corrected_by_one_move() -> None:
    rebuilt = account(1, old=7)
    found = reconcile("acme", rebuilt, Published(4, {"new": 2}), (), PROGRAM)
    (move,) = found.corrections
    assert (move.direction, move.segment, move.from_segment, move.group) == ("moved", "old", "new", "life")
    assert (move.sequence, move.entered_at, move.effective_at, move.trigger) == (5, 2, NOW, "rebuild")
    assert rebuilt.sequence == 5
    assert rebuilt.members == {"old": NOW}
    assert rebuilt.exits == {"new": NOW}


def test_a_stay_keeps_the_beginning_that_was_told_and_is_asked_again_at_once() -> None:
    rebuilt = account(9, busy=6)
    found = reconcile("acme", rebuilt, Published(3, {"busy": 5}), (), PROGRAM)
    assert found.reason is Reason.RENUMBERED
    assert found.corrections == []
    assert (rebuilt.sequence, rebuilt.members, rebuilt.next_at) == (3, {"busy": 5}, NOW + 1)
