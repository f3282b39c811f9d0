"""What the engagement stage says in the log."""

import json

import pytest

from schemas.catalog import Catalog
from schemas.control import CatalogChange, Erase, encode_control
from streams import log_events
from streams.engine.program import compile_catalog
from tests.unit.engagement.log import CATALOG, START, TOPICS, World, config
from tests.unit.lines import told


def test_a_transition_is_a_line_for_those_who_ask_for_it_with_its_id_and_without_its_account(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for level, lines in ((log_events.INFO, 0), (log_events.DEBUG, 1)):
        caplog.clear()
        caplog.set_level(level, logger="streams")
        world = World(config(clock="off"))
        world.publish("hidden", "m1", START)
        world.run(START)
        found = told(caplog, log_events.TRANSITION)
        assert len(found) == lines
        assert "hidden" not in caplog.text
    [written] = [json.loads(one.value or b"") for one in world.out[TOPICS.transitions]]
    assert found == [
        {"transition_id": written["transition_id"], "direction": "entered", "segment": "fresh", "trigger": "record"}
    ]


def test_an_erasure_and_a_new_catalog_are_told_where_they_stand_in_the_log_and_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(log_events.INFO, logger="streams")
    changed = {**CATALOG, "segments": CATALOG["segments"][:1]}
    program = compile_catalog(Catalog.model_validate(changed))
    world = World(config(clock="off"))
    for control in (
        Erase(account_id="hidden"),
        Erase(user_id="jane@example.com"),
        CatalogChange(version=program.version, content=program.content),
    ):
        header, value = encode_control(control)
        world.append(0, None, value, START, header)
    world.run(START)
    assert [line["kind"] for line in told(caplog, log_events.ERASED)] == ["account", "user"]
    assert told(caplog, log_events.CATALOG_APPLIES) == [{"partition": 0, "catalog": program.version}]
    assert "hidden" not in caplog.text
    assert "jane" not in caplog.text


def test_refused_records_are_one_line_a_reason_with_the_place_of_the_first(caplog: pytest.LogCaptureFixture) -> None:
    world = World(config(clock="off"))
    for value in (b"{", b"{", b'"jane@example.com"', b"{"):
        world.append(0, "acme", value, START)
    world.run(START)
    lines = told(caplog, log_events.RECORD_REFUSED)
    assert [(one["partition"], one["offset"], one["reason"]) for one in lines] == [
        (0, 0, "not_json"),
        (0, 2, "not_an_object"),
    ]
    assert "jane" not in caplog.text
