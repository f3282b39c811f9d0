"""Laws of the engagement stage: what goes into the log, what comes out, and that a restart changes nothing."""

import json
from dataclasses import replace
from typing import Any

import pytest

from schemas.catalog import Catalog
from schemas.dead_letter import DeadLetter, RejectReason
from schemas.transition import ANNOUNCE_HEADER
from streams.engine.program import compile_catalog
from streams.runtime.dead_letters import original_headers
from streams.runtime.rejects import RejectLimits, RejectRatioExceededError
from tests.unit.engagement.log import CATALOG, DAY, RANKED, START, TOPICS, World, config

MESSAGE = {"message_id": "m1", "type": "track"}


def test_the_first_worker_on_a_log_writes_which_catalog_applies_and_no_later_one_does() -> None:
    world = World(config())
    world.run(START)
    world.restart()
    world.run(START + 1_000)
    assert world.controls() == ["catalog"]
    (content,) = world.out[TOPICS.catalogs]
    assert content.key == world.config.program.version.encode()
    assert Catalog.model_validate_json(content.value or b"") == world.config.program.catalog


def test_a_deadline_fires_by_a_clock_record_once_the_grace_is_over() -> None:
    world = World(config())
    world.publish("acme", "m1", START)
    world.run(START)
    world.run(START + 4 * DAY + 59_999)
    assert world.told() == [("acme", "fresh", "entered", MESSAGE)]
    world.run(START + 4 * DAY + 60_000)
    assert world.told()[1:] == [("acme", "fresh", "exited", "deadline")]
    assert world.controls()[-1] == "clock"


def test_the_wall_clock_is_silent_while_history_is_told_and_for_a_while_after() -> None:
    world = World(config(hold_ms=30_000))
    now = START + 100 * DAY
    world.run(now)
    world.publish("acme", "m1", START)
    world.run(now)
    world.run(now + 29_000)
    assert "clock" not in world.controls()
    world.run(now + 30_000)
    assert world.controls()[-1] == "clock"


def test_the_clock_of_the_log_never_runs_ahead_of_it() -> None:
    world = World(config(clock="log"))
    world.publish("acme", "m1", START)
    world.run(START + 100 * DAY)
    assert "clock" not in world.controls()
    world.publish("zeta", "m2", START + 5 * DAY)
    world.run(START + 100 * DAY)
    assert ("acme", "fresh", "exited", "deadline") in world.told()


def test_the_clock_of_an_empty_log_says_nothing() -> None:
    world = World(config(RANKED, clock="log"))
    world.run(START)
    assert world.controls() == ["catalog"]


def test_a_clock_that_is_off_writes_nothing() -> None:
    world = World(config(clock="off"))
    world.publish("acme", "m1", START)
    world.run(START + 100 * DAY)
    assert world.controls() == ["catalog"]


def test_activity_that_is_too_late_is_copied_with_its_time() -> None:
    world = World(config(clock="off"))
    world.publish("acme", "m1", START)
    old = json.dumps({"type": "track", "event": "seen", "timestamp": "2025-01-01T00:00:00Z"}).encode()
    world.append(0, "acme", old, START + 1)
    world.run(START)
    (copy,) = world.out[TOPICS.account_events_late]
    assert (copy.key, copy.value, copy.timestamp_ms) == (b"acme", old, START + 1)


@pytest.mark.parametrize(
    ("key", "value", "header", "reason"),
    [
        (None, b'{"type":"page"}', None, b"missing_account"),
        (b"\xff", b'{"type":"page"}', None, b"not_utf8"),
        (b"a" * 256, b'{"type":"page"}', None, b"account_too_long"),
        (b"acme", None, None, b"null_value"),
        (b"acme", b"{", None, b"not_json"),
        (None, b"{}", b"dance", b"unknown_control"),
        (None, b'{"at":"soon"}', b"clock", b"bad_control"),
        (None, b'{"version":"unheard-of"}', b"catalog", b"bad_control"),
        (None, b'{"version":"x","content":{"format":1}}', b"catalog", b"bad_control"),
        (None, None, b"clock", b"bad_control"),
    ],
)
def test_what_cannot_be_used_is_a_dead_letter_with_its_reason(
    key: bytes | None, value: bytes | None, header: bytes | None, reason: bytes
) -> None:
    world = World(config(clock="off"))
    world.append(0, None, value, START, *([("pegel-control", header)] if header else []))
    object.__setattr__(world.logs[0][0], "key", key)
    world.publish("acme", "m1", START)
    world.run(START)
    (letter,) = world.out[TOPICS.account_events_dlq]
    assert dict(letter.headers)["pegel-reason"] == reason
    assert letter.value == value
    assert world.told()[0] == ("acme", "fresh", "entered", MESSAGE)


def test_a_restart_at_any_flush_changes_no_transition() -> None:
    def played(restart_every: int | None) -> list[dict[str, Any]]:
        world = World(config())
        for number in range(24):
            at = START + number * DAY // 2
            world.publish(f"account-{number % 3}", f"m{number}", at)
            world.run(at)
            if restart_every is not None and number % restart_every == 0:
                world.restart()
        world.run(START + 60 * DAY)
        world.run(START + 60 * DAY + 30_000)  # after a restart the wall clock is careful
        return world.transitions()

    whole = played(None)
    assert len(whole) == 12
    assert played(1) == whole
    assert played(5) == whole


def test_the_population_of_all_partitions_decides_and_a_restart_in_between_changes_nothing() -> None:
    world = World(config(RANKED, partitions=2))
    for number, partition in enumerate((0, 1, 0, 1)):
        for repeat in range(number + 1):
            world.publish(f"account-{number}", f"m{number}-{repeat}", START + repeat, partition=partition)
    world.step(1, START + 60_000)
    assert world.controls(0) == ["sketch"]
    for number in range(2):
        world.restart(number)
    world.run(START + 60_000)
    assert world.controls(1).count("thresholds") == 1
    world.run(START + DAY + 59_999)
    assert world.controls(1).count("thresholds") == 1
    world.run(START + DAY + 60_000)
    assert world.controls(1).count("thresholds") == 2
    assert sorted(t for t in world.told() if t[1] == "top" and t[3] == "thresholds") == [
        ("account-2", "top", "entered", "thresholds"),
        ("account-3", "top", "entered", "thresholds"),
    ]
    assert not [key for rows in world.rows for key, row in rows.items() if key.startswith(b"s") and row is not None]


def test_the_canarys_accounts_count_in_no_percentile() -> None:
    def thresholds(accounts: tuple[str, ...]) -> list[dict[str, Any]]:
        world = World(config(RANKED))
        for number, account in enumerate(accounts):
            for repeat in range(number + 1):
                world.publish(account, f"{account}-{repeat}", START + repeat)
        world.run(START + 60_000)
        world.run(START + DAY + 60_000)
        found = [
            json.loads(record.value or b"")["measures"]
            for record in world.logs[0]
            if ("pegel-control", b"thresholds") in record.headers
        ]
        assert found
        return found

    alone = thresholds(("a", "b"))
    assert thresholds(("a", "b", "pegel-canary-service-0", "pegel-canary-service-1")) == alone
    assert thresholds(("a", "b", "c")) != alone


def test_a_catalog_record_switches_the_rules_at_its_place_in_the_log() -> None:
    changed = {**CATALOG, "segments": [{"id": "busy", "when": 'count("*", days=7) >= 1'}]}
    program = compile_catalog(Catalog.model_validate(changed))
    world = World(config())
    world.publish("acme", "m1", START)
    world.run(START)
    record = json.dumps({"version": program.version, "announce": True, "content": program.content}).encode()
    world.append(0, None, record, START + 1_000, ("pegel-control", b"catalog"))
    world.run(START + 1_000)
    assert world.told()[1:] == [("acme", "fresh", "exited", "catalog"), ("acme", "busy", "entered", "catalog")]
    assert [t["catalog_version"] for t in world.transitions()][1:] == [program.version] * 2
    assert dict(world.out[TOPICS.transitions][-1].headers)[ANNOUNCE_HEADER] == b"true"
    world.restart()
    stage = world.stages[0]
    assert stage.program.version == program.version


def test_an_erased_account_is_gone_everywhere_and_stays_so() -> None:
    world = World(config(clock="off"))
    world.publish("acme", "m1", START)
    world.run(START)
    world.append(0, None, b'{"account_id":"acme"}', START, ("pegel-control", b"erase"))
    world.run(START)
    assert world.out[TOPICS.membership][-1].value is None
    assert world.rows[0][b"aacme"] is None
    world.restart()
    before = world.told()
    world.publish("acme", "m2", START + 1)
    world.run(START + 1)
    assert world.told() == before
    assert world.stages[0].counts["suppressed"] == 1


def test_an_erased_user_counts_no_more() -> None:
    world = World(config(clock="off"))
    for number in range(2):
        world.publish("acme", f"m{number}", START + number)
    world.append(0, None, b'{"user_id":"u1"}', START, ("pegel-control", b"erase"))
    world.publish("acme", "m3", START + 3)
    world.run(START)
    assert world.stages[0].counts["suppressed"] == 1
    assert not [t for t in world.told() if t[1] == "busy"]


def test_memberships_follow_every_transition_and_the_first_activity_of_a_day() -> None:
    world = World(config(clock="off"))
    for number, at in enumerate((START, START + 1, START + DAY, START + DAY + 1)):
        world.publish("acme", f"m{number}", at)
        world.run(at)
    members = [json.loads(output.value or b"") for output in world.out[TOPICS.membership]]
    assert [one["sequence"] for one in members] == [1, 2]
    assert members[-1]["segments"][0]["segment"] == "fresh"
    world.publish("acme", "m9", START + 2 * DAY)
    world.run(START + 2 * DAY)
    assert len(world.out[TOPICS.membership]) == 3


def test_a_bad_deploy_that_writes_to_the_log_itself_stops_the_worker_and_no_restart_lets_more_through() -> None:
    world = World(replace(config(clock="off"), rejects=RejectLimits(10, 0.5, "THE_SETTING")))
    for number in range(5):
        world.publish("acme", f"m{number}", START)
        world.append(0, "acme", b"{broken", START)
    world.run(START)
    assert len(world.out[TOPICS.account_events_dlq]) == 5
    world.restart()
    world.append(0, "acme", b"{broken", START)
    world.append(0, "acme", b"{broken", START)
    with pytest.raises(RejectRatioExceededError, match=r"6 of the last 10.*THE_SETTING=1"):
        world.run(START)


def test_a_control_record_that_is_refused_keeps_what_makes_it_one() -> None:
    world = World(config(clock="off"))
    odd: list[tuple[str, bytes | None]] = [
        ("pegel-control", b"dance"),
        ("pegel-forged", b"1"),
        ("traceparent", b"00-ab"),
    ]
    world.append(0, None, b"{}", START, *odd)
    world.run(START)
    (letter,) = world.out[TOPICS.account_events_dlq]
    assert DeadLetter.from_headers(letter.headers).reason is RejectReason.UNKNOWN_CONTROL
    assert original_headers(letter.headers) == [("pegel-control", b"dance"), ("traceparent", b"00-ab")]
