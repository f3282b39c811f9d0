"""What is read, which plays wait for it, whether it is still news, and what its delivery is called."""

import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.action import Reason
from schemas.dead_letter import Rejected, RejectReason
from streams.notify.plan.delivery import delivery_id
from streams.notify.plan.freshness import freshness
from streams.notify.plan.news import read
from streams.notify.plan.route import waits_for
from tests.unit.notify.world import NOW_MS, news, play, raw

HOUR_MS = 3_600_000

ENTERED: dict[str, Any] = {"segment": "at_risk", "direction": "entered"}
EXITED: dict[str, Any] = {"segment": "at_risk", "direction": "exited"}
MOVED: dict[str, Any] = {"segment": "at_risk", "direction": "moved", "from_segment": "mature", "group": "lifecycle"}


@pytest.mark.parametrize(
    ("directions", "segments", "waits"),
    [
        (["entered"], ["at_risk"], (True, False, True)),
        (["exited"], ["at_risk"], (False, True, False)),
        (["exited"], ["mature"], (False, False, True)),
        (["moved"], ["at_risk"], (False, False, True)),
        (["moved"], ["mature"], (False, False, False)),
        (["entered"], ["mature"], (False, False, False)),
        (["entered", "exited"], ["at_risk"], (True, True, True)),
        (["entered", "exited", "moved"], ["*"], (True, True, True)),
        (["exited"], ["*"], (False, True, True)),
    ],
)
def test_a_move_is_an_entry_into_one_segment_and_an_exit_from_the_other(
    directions: list[str], segments: list[str], waits: tuple[bool, bool, bool]
) -> None:
    waiting = play(segments=segments, directions=directions)
    assert tuple(waits_for(waiting, news(**kind)) for kind in (ENTERED, EXITED, MOVED)) == waits


def test_a_play_may_wait_for_a_group() -> None:
    waiting = play(group="lifecycle", segment="*")
    assert waits_for(waiting, news(**MOVED))
    assert not waits_for(waiting, news(**ENTERED))


@pytest.mark.parametrize(
    ("age_h", "setting_h", "play_h", "reason"),
    [
        (23.9, 24, None, Reason.PLANNED),
        (24.0, 24, None, Reason.PLANNED),
        (24.1, 24, None, Reason.STALE),
        (24.1, None, None, Reason.PLANNED),
        (2.0, 24, 1, Reason.STALE),
        (30.0, 24, 48, Reason.PLANNED),
        (-5.0, 24, None, Reason.PLANNED),
    ],
)
def test_old_news_is_not_told(age_h: float, setting_h: float | None, play_h: float | None, reason: Reason) -> None:
    told = news()
    now_ms = told.effective_at_ms + round(age_h * HOUR_MS)
    assert freshness(told, play(max_age_h=play_h), now_ms, setting_h) is reason


def test_what_a_new_catalog_changes_is_told_only_where_the_play_says_so() -> None:
    told = news(trigger="catalog")
    assert freshness(told, play(), NOW_MS, 24) is Reason.CATALOG_CHANGE
    assert freshness(told, play(announce_catalog_changes=True), NOW_MS, 24) is Reason.PLANNED


def test_an_announced_catalog_change_is_news_like_any_other() -> None:
    assert freshness(read(raw(trigger="catalog"), announced=True), play(), NOW_MS, 24) is Reason.PLANNED
    assert freshness(news(trigger={"type": "track", "message_id": "m"}), play(), NOW_MS, 24) is Reason.PLANNED


def test_what_a_rebuilt_state_corrects_is_told_to_nobody() -> None:
    told = news(trigger="rebuild")
    assert freshness(told, play(announce_catalog_changes=True, max_age_h=48), NOW_MS, 24) is Reason.REBUILD


def test_the_delivery_id_is_a_function_of_destination_transition_and_template() -> None:
    one = delivery_id("team", "t-1", "plain")
    assert one == delivery_id("team", "t-1", "plain") == "08f908bf-7b6e-5f86-a087-6908e913846f"
    assert uuid.UUID(one).version == 5
    assert len({one, delivery_id("crm", "t-1", "plain"), delivery_id("team", "t-2", "plain"),
                delivery_id("team", "t-1", "other"), delivery_id("teamt-1", "", "plain")}) == 5  # fmt: skip


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, RejectReason.NULL_VALUE),
        (b"", RejectReason.NOT_JSON),
        (b"{", RejectReason.NOT_JSON),
        (b"\xff{}", RejectReason.NOT_UTF8),
        (b'{"a": "\xff"}', RejectReason.NOT_UTF8),
        (b"[1]", RejectReason.NOT_AN_OBJECT),
        (b"[" * 100_000, RejectReason.NOT_JSON),
        (b" " * (1 << 20) + b"{}", RejectReason.TOO_LARGE),
        (b"{}", RejectReason.BAD_TRANSITION),
        (raw(direction="vanished"), RejectReason.BAD_TRANSITION),
        (raw(effective_at="yesterday"), RejectReason.BAD_TRANSITION),
        (raw(account=""), RejectReason.BAD_TRANSITION),
        (raw(account="a" * 256), RejectReason.BAD_TRANSITION),
        (raw(segment=3), RejectReason.BAD_TRANSITION),
    ],
)
def test_what_is_no_transition_is_rejected_with_the_reason(value: bytes | None, reason: RejectReason) -> None:
    with pytest.raises(Rejected) as caught:
        read(value)
    assert caught.value.reason is reason
    assert "vanished" not in caught.value.detail
    assert "yesterday" not in caught.value.detail


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(value: bytes) -> None:
    with pytest.raises(Rejected):
        read(value)


def test_fields_nobody_knows_yet_are_kept() -> None:
    assert news(new_field={"a": 1}).fields["new_field"] == {"a": 1}
