"""Laws of what the canary crosses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.canary import CANARY_PREFIX, is_canary, is_canary_key
from schemas.catalog import Catalog
from schemas.event import read_event
from schemas.wire import decode_event
from streams.canary.accounts import ONCE, SERVICE, accounts
from streams.canary.crossing import START_MS, Crossing, advice, choose, crosses
from streams.canary.watch import Outcome
from streams.canary.ways import Side, Way, event_of
from streams.catalogs import load_catalog
from streams.engine.partition import Partition
from streams.engine.program import Program, compile_catalog
from streams.metrics import shown_by
from streams.runtime.partitioner import partition_of
from streams.settings import Settings

HOURLY = 3_600_000


def program(*segments: dict[str, Any], signals: list[str] | None = None) -> Program:
    named = [{"name": one["id"], **one} for one in segments]
    content = {"format": 1, "name": "test", "segments": named}
    if signals is not None:
        content["signals"] = signals
    return compile_catalog(Catalog.model_validate(content), "test")


@pytest.mark.parametrize("partitions", [1, 2, 7, 64, 1_024])
def test_every_partition_has_an_account_of_its_own_and_the_same_one_after_a_restart(partitions: int) -> None:
    named = accounts(SERVICE, partitions)
    assert [partition_of(name.encode(), partitions) for name in named] == list(range(partitions))
    assert named == accounts(SERVICE, partitions)
    assert all(is_canary(name) and is_canary_key(name.encode()) for name in named)
    assert not set(named) & set(accounts(ONCE, partitions))


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("side", Side)
def test_an_event_is_one_that_intake_takes_and_says_its_account(way: Way, side: Side) -> None:
    raw = event_of(way, side, "pegel-canary-service-0", "m1", START_MS)
    event = read_event(raw)
    assert event.messageId == "m1"
    assert (event.groupId or event.context.get("groupId")) == "pegel-canary-service-0"


@pytest.mark.parametrize("name", ["default", "oss"])
def test_the_built_in_catalogs_have_a_segment_that_can_be_crossed(name: str) -> None:
    chosen = choose(compile_catalog(load_catalog(name), name))
    assert chosen is not None
    assert (chosen.way, chosen.segment) == (Way.BILLING, "not_activated")


def played(program: Program, chosen: Crossing, days: int) -> Iterator[Side | None]:
    """What the watched segment did at each crossing of an account that crosses every hour."""
    partition = Partition(program)
    for number in range(days * 24):
        side, at_ms = (Side.IN if number % 2 else Side.OUT), START_MS + number * HOURLY
        raw = event_of(chosen.way, side, "pegel-canary-service-0", f"{number}", at_ms)
        partition.apply("pegel-canary-service-0", decode_event(raw), raw, at_ms)
        seen = [
            crosses(one.segment, one.direction, one.from_segment, chosen.segment)
            for one in partition.take_transitions()
            if isinstance(one.trigger, tuple)
        ]
        crossed = [one for one in seen if one is not None]
        assert len(crossed) <= 1
        if number:
            yield crossed[0] if crossed else None


@pytest.mark.parametrize("name", ["default", "oss"])
def test_what_was_chosen_is_crossed_every_hour_for_two_hundred_days(name: str) -> None:
    program = compile_catalog(load_catalog(name), name)
    chosen = choose(program)
    assert chosen is not None
    for number, side in enumerate(played(program, chosen, 200)):
        assert side is (Side.OUT if number % 2 else Side.IN), number


def test_the_canary_counts_as_no_activity_and_names_no_user_under_the_default_catalog() -> None:
    partition = Partition(compile_catalog(load_catalog("default"), "default"))
    for number, way in enumerate((Way.BILLING, Way.TRAIT)):
        raw = event_of(way, Side.IN, "a", f"{number}", START_MS)
        partition.apply("a", decode_event(raw), raw, START_MS)
    known = partition.account("a")
    assert known is not None
    account, _ = known
    assert account.total == 0
    assert not account.users


def test_the_page_on_operations_says_what_is_so() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    section = page[page.index("## Does the whole way work?") : page.index("## Dashboards")]
    canary = Settings().canary
    assert f"`canary.interval_s` ({canary.interval_s:g})" in section
    assert f"`canary.timeout_s` ({canary.timeout_s:g})" in section
    assert f"`{CANARY_PREFIX}`" in section
    for outcome in Outcome:
        assert f"| `{outcome}` |" in section
    for definition in shown_by("canary"):
        assert definition.metric in section or definition.name == "build_info"
    (given,) = yaml.safe_load(section[section.index("```yaml\n") + 8 : section.index("\n```\n\n| `")])
    assert choose(program(given)) is not None


def test_a_rule_on_the_canarys_own_trait_is_preferred() -> None:
    own = {"id": "pegel_canary", "when": 'trait("pegel_canary") == "in"'}
    billing = {"id": "paying", "when": 'stage == "customer"'}
    chosen = choose(program(billing, own))
    assert chosen is not None
    assert (chosen.way, chosen.segment) == (Way.TRAIT, "pegel_canary")


def test_the_segment_that_the_advice_gives_is_one_that_can_be_crossed() -> None:
    without = program({"id": "busy", "when": "score(days=7) >= 10"})
    assert choose(without) is None
    text = advice(without)
    own = yaml.safe_load(text[text.index("{") :])
    chosen = choose(program({"id": "busy", "when": "score(days=7) >= 10"}, own))
    assert chosen is not None
    assert chosen.segment == "pegel_canary"


@pytest.mark.parametrize(
    "segment",
    [
        {"id": "one", "when": 'stage == "customer"', "min_dwell_days": 1},
        {"id": "one", "when": 'stage == "customer"', "cooldown_days": 1},
        {"id": "one", "when": 'stage == "customer" and since(signed_up_at) < 90'},
        {"id": "one", "when": 'stage == "customer"', "exit_when": "since(converted_at) > 5"},
        {"id": "one", "when": 'stage == "cancelled"'},
        {"id": "one", "when": 'stage == "customer"', "enabled": False},
    ],
)
def test_what_cannot_be_crossed_at_any_age_every_time_is_not_chosen(segment: dict[str, Any]) -> None:
    assert choose(program(segment)) is None


def test_a_group_is_crossed_by_moves_too() -> None:
    chosen = choose(
        program(
            {"id": "paying", "when": 'stage == "customer"', "group": "money"},
            {"id": "others", "when": "True", "group": "money"},
        )
    )
    assert chosen is not None
    assert chosen.segment == "paying"


def test_a_survey_serves_where_nothing_else_does() -> None:
    chosen = choose(program({"id": "fans", "when": "nps >= 9"}))
    assert chosen is not None
    assert (chosen.way, chosen.segment) == (Way.SURVEY, "fans")


def test_the_choice_names_the_version_that_it_is_of() -> None:
    default = compile_catalog(load_catalog("default"), "default")
    chosen = choose(default)
    assert chosen is not None
    assert chosen.catalog_version == default.version
