"""A forecast is what happens: run the same state ahead without records, and the membership ends just then, just so."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalog import Catalog
from schemas.dead_letter import Rejected
from schemas.timestamps import YEAR_9999_END_MS, format_ms
from schemas.wire import decode_event
from streams.engine import codec
from streams.engine.forecast import forecast_of
from streams.engine.found import Forecast, Transition
from streams.engine.partition import Partition
from streams.engine.program import Program, compile_catalog
from streams.engine.record import file_arrival
from streams.engine.windows import Windows
from streams.engine.working import Working
from tests.model.scenarios import random_scenario
from tests.unit.engine.building import DAY, START
from tests.unit.engine.logs import RULES, Sent, logs

PROGRAM: Final = compile_catalog(RULES)
SEEDS: Final = 100
FAR: Final = YEAR_9999_END_MS + 1


def _ahead(partition: Partition, account_id: str, program: Program) -> list[Transition]:
    """What happens to a copy of the account if no record comes any more."""
    found = partition.account(account_id)
    assert found is not None
    copy = Partition(program)
    copy.restore(account_id, codec.encode(found[0]))
    copy.advance_to(FAR)
    return copy.take_transitions()


def _end_of(segment: str, transitions: Iterable[Transition]) -> Forecast | None:
    """How the membership of a segment first ends in these transitions."""
    for one in transitions:
        if one.direction == "exited" and one.segment == segment:
            return Forecast(one.effective_at, "exited", None)
        if one.from_segment == segment:
            return Forecast(one.effective_at, "moved", one.segment)
    return None


def _check(partition: Partition, account_id: str, program: Program) -> list[Forecast | None]:
    """Hold what was just found, and every present membership, against what happens; returns the forecasts judged."""
    found = partition.take_transitions()
    state = partition.account(account_id)
    if state is None:
        return []
    account, working = state
    ahead = _ahead(partition, account_id, program)
    # What deadlines found is followed by the record that let them fire; it was judged after the record before.
    of_record = [one for one in found if one.trigger != "deadline"]
    told = [one for one in [*of_record, *ahead] if one.direction != "exited"]
    for one in told:
        later = [other for other in [*of_record, *ahead] if other.sequence > one.sequence]
        assert one.forecast == _end_of(one.segment, later), one
    for segment in account.members:
        assert forecast_of(segment, account, working) == _end_of(segment, ahead), segment
    return [one.forecast for one in told]


@given(logs(max_size=12))
@settings(max_examples=40, deadline=None)
def test_what_is_forecast_is_what_happens_if_no_record_comes(log: list[Sent]) -> None:
    partition = Partition(PROGRAM)
    for sent in log:
        sent.to(partition)
        _check(partition, sent.account, PROGRAM)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_forecasts_hold_under_any_catalog(seed: int) -> None:
    scenario = random_scenario(seed, records=(1, 12))
    segments = [{**segment, "enabled": True} for segment in scenario.catalog["segments"]]
    program = compile_catalog(Catalog.model_validate({**scenario.catalog, "segments": segments}))
    partition = Partition(program)
    for line in scenario.lines:
        raw = line.encode()
        with suppress(Rejected):
            event = decode_event(raw)
            arrival = file_arrival(event)
            if arrival is not None:
                partition.apply("acme", event, raw, arrival)
                _check(partition, "acme", program)


def _everything(working: Working) -> dict[str, object]:
    """All that a working set holds, figures of windows included."""
    held = {name: getattr(working, name) for name in dir(working) if not name.startswith("__")}
    names = [name for name, value in held.items() if not callable(value) and name not in ("account", "program")]
    assert {"values", "windows", "counted"} <= set(names)
    return {name: repr(_figures(held[name])) for name in names}


def _figures(value: object) -> object:
    if isinstance(value, list):
        return [_figures(one) for one in value]
    return value.values if isinstance(value, Windows) else value


@given(logs(max_size=10), st.sampled_from([0, 1, 5]))
@settings(max_examples=30, deadline=None)
def test_looking_ahead_changes_nothing(log: list[Sent], extra: int) -> None:
    partition = Partition(PROGRAM)
    for sent in log:
        sent.to(partition)
    for account_id in {sent.account for sent in log}:
        state = partition.account(account_id)
        if state is None:
            continue
        account, working = state
        working.roll(working.today + extra)  # as a look at the population does
        before = codec.encode(account), _everything(working)
        for segment in account.members:
            forecast_of(segment, account, working)
        assert (codec.encode(account), _everything(working)) == before


def test_the_logs_meet_every_kind_of_forecast() -> None:
    """A law over logs in which nothing ever ends would hold for nothing."""
    partition = Partition(PROGRAM)
    told: list[Forecast | None] = []
    for place in range(3):
        t = START + place * DAY // 2
        Sent("acme", {"type": "track", "event": "run", "messageId": f"m{place}", "timestamp": format_ms(t)}, t).to(
            partition
        )
        told += _check(partition, "acme", PROGRAM)
    assert {None if one is None else one.direction for one in told} == {None, "exited", "moved"}
