"""Accounts that sleep between two looks at the population are, to everybody who looks, as if they had not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalog import Catalog
from streams.engine.partition import Partition
from streams.engine.population import Thresholds, Values, percentiles_of
from streams.engine.program import Program, compile_catalog
from streams.engine.ranking import Ranking
from streams.replay.population import look_and_rank
from tests.laws.test_engine_slices import RANKED, Control, Step, by_account, controls, states
from tests.unit.engine.building import DAY, START, Log, program_of
from tests.unit.engine.logs import ACCOUNTS, logs


def ranked_by(definitions: dict[str, str]) -> Program:
    """A catalog of all kinds of rules that ranks accounts by these definitions, too."""
    written = RANKED.model_dump(mode="json")
    ranks = [
        {"id": f"{name}_{place}", "when": rule.format(name)}
        for name in ("age", "load", *definitions)
        for place, rule in enumerate(('top_percent("{}", 40)', 'quintile("{}") <= 2'))
    ]
    return compile_catalog(Catalog.model_validate({
        **written, "segments": [*written["segments"], *ranks],
        "definitions": {**written["definitions"], **definitions},
    }))  # fmt: skip


KEYED: Final = ranked_by({
    "ahead": "until(trial_ends_at)", "idle": 'since(last("run"))', "money": "mrr",
    "reach": 'default(mrr, 0) + count("run", days=40)', "rows": 'count("*")', "spent": "-(-since(converted_at))",
})  # fmt: skip
"""Time alone changes nobody's place."""
MOVING: Final = ranked_by(
    {"due": "until(trial_ends_at) * active_days(days=5)", "late": "default(until(converted_at), 1)"}
)


STEPWISE: Final = compile_catalog(
    KEYED.catalog.model_copy(update={"segments": tuple(one for one in KEYED.catalog.segments if one.id != "bent")})
)
"""So that who keeps a rank need not be evaluated again."""


def test_the_catalogs_here_are_of_all_kinds() -> None:
    kinds = [(Ranking(program).has_keys, Ranking(program).is_stepwise) for program in (KEYED, STEPWISE, MOVING)]
    assert kinds == [(True, False), (True, True), (False, False)]


def values_of(partition: Partition, at_ms: int) -> dict[str, Values]:
    found = {account_id: partition.look_at(account_id, at_ms) for account_id in partition.account_ids()}
    return {account_id: values for account_id, values in found.items() if values is not None}


def ranked_awake(partition: Partition, at_ms: int) -> None:
    """A look and its thresholds, without letting anybody sleep."""
    columns = zip(*values_of(partition, at_ms).values(), strict=True)
    known = [[value for value in column if value is not None] for column in columns]
    names = partition.program.slots.ranked
    percentiles = dict(zip(names, map(percentiles_of, known or [[]] * len(names)), strict=True))
    partition.apply_thresholds(Thresholds(at_ms, percentiles))


@dataclass(frozen=True)
class Look:
    at_ms: int


@st.composite
def days(draw: st.DrawFn) -> list[Step | Control | Look]:
    """A log with looks at the population, often many in a row, and whatever else may come between them."""
    steps: list[Step | Control | Look] = []
    arrival = looked = START
    for sent in draw(logs(accounts=(*ACCOUNTS, "dora", "ewa"), max_size=15)):
        for day in range(draw(st.sampled_from([0, 0, 1, 2, 5]))):
            looked = max(looked, arrival + day * draw(st.sampled_from([0, DAY, 40 * DAY])))
            steps.append(Look(looked))  # days are looked at in order
            steps += [draw(controls(arrival)) for _ in range(draw(st.sampled_from([0, 0, 0, 1])))]
        arrival = sent.arrival
        if draw(st.integers(0, 15)) == 0:
            steps.append(_erase(draw(st.sampled_from(ACCOUNTS))))
        if draw(st.integers(0, 9)) == 0:
            steps.append(_take)
        steps.append(sent.to)
    return [*steps, Look(looked + 200 * DAY), Look(looked + 201 * DAY)]


def _erase(account_id: str) -> Callable[[Partition], object]:
    return lambda partition: partition.erase_account(account_id)


def _take(partition: Partition) -> None:
    partition.take_reportable()
    partition.take_changes()


@settings(deadline=None, max_examples=120)
@given(days(), st.sampled_from([KEYED, STEPWISE, MOVING]))
def test_who_sleeps_does_not_show(steps: Sequence[Step | Control | Look], program: Program) -> None:
    drowsy, awake = Partition(program), Partition(program)
    for step in steps:
        if isinstance(step, Look) and not awake.program.slots.ranked:
            continue  # nobody looks where no rule asks
        if isinstance(step, Look):
            assert values_of(drowsy, step.at_ms) == values_of(awake, step.at_ms)
            look_and_rank(drowsy, step.at_ms)
            ranked_awake(awake, step.at_ms)
            assert drowsy.thresholds == awake.thresholds
        else:
            for partition in (drowsy, awake):
                (step.at_once if isinstance(step, Control) else step)(partition)
    assert by_account(drowsy.take_transitions()) == by_account(awake.take_transitions())
    assert states(drowsy) == states(awake)
    for account_id in drowsy.account_ids():
        found, expected = drowsy.account(account_id), awake.account(account_id)
        assert found is not None
        assert expected is not None
        assert found[1].thresholds == expected[1].thresholds


def test_accounts_sleep_until_a_window_changes_and_wake_with_their_next_record() -> None:
    log = Log(program_of('top_percent("load", 50)', definitions={"load": 'count("a", days=3)'}))
    for account in ("acme", "bolt"):
        log.track("a", START, account=account)
    asleep = []
    for day in range(1, 100):
        log.partition.look(START + day * DAY)
        asleep.append(len(log.partition._sleepers))
        look_and_rank(log.partition, START + day * DAY)
    assert asleep == [0, 2, 0, *[2] * 96]
    log.track("a", START + 101 * DAY, account="acme")
    assert len(log.partition._sleepers) == 1
    log.partition.look(START + 102 * DAY)
    assert log.partition._sleepers.keys_of("acme") == (1,)
