"""Laws of a log with control records of every kind: neither restarts nor a replay of its dump change a transition."""

import json
from itertools import cycle
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalog import Catalog
from streams.engagement import grouping, stage
from streams.engagement.rows import ACCOUNT
from streams.engine.outgoing import emitted, told
from streams.engine.program import compile_catalog
from streams.replay.lines import Line
from streams.replay.run import Replay
from tests.unit.engagement.log import DAY, RANKED, START, World, config

OTHER: dict[str, Any] = {
    **RANKED,
    "name": "other",
    "weights": {"seen": 2},
    "segments": [
        {"id": "busy", "when": "score(days=3) >= 4", "min_dwell_days": 1},
        {"id": "quiet", "when": "since(last_active_at) >= 2", "group": "mood"},
        {"id": "loud", "when": 'member("busy")', "group": "mood"},
        {"id": "top", "when": 'top_percent("uses", 30)', "cooldown_days": 1},
    ],
}
CATALOGS = (RANKED, OTHER)
PARTITIONS = 2

Step = tuple[str, int, int]

steps = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.integers(0, 4), st.integers(0, DAY)),
        st.tuples(st.just("event"), st.integers(0, 4), st.integers(0, 5 * DAY)),
        st.tuples(st.just("wait"), st.just(0), st.sampled_from((60_000, DAY, 4 * DAY, 30 * DAY))),
        st.tuples(st.just("catalog"), st.integers(0, 1), st.integers(0, 1_000)),
        st.tuples(st.just("erase"), st.integers(0, 9), st.integers(0, 1_000)),
    ),
    min_size=4,
    max_size=40,
)


def play(given_steps: list[Step], restarts: set[int], slices: list[int] | None = None) -> World:
    """The steps, with every stage lost and made anew before those whose number is in `restarts`.

    `slices`: between two steps, so many slices of one account each are worked off, over and over again.
    """
    world = World(config(RANKED, partitions=PARTITIONS, clock="log"))
    world.slices = None if slices is None else cycle(slices)
    now = START
    for number, (kind, which, delay_ms) in enumerate(given_steps):
        if number in restarts:
            for partition in range(PARTITIONS):
                world.restart(partition)
        now += delay_ms
        if kind == "event":
            world.publish(f"account-{which}", f"m{number}", now, partition=which % PARTITIONS)
        elif kind == "catalog":
            append_to_all(world, "catalog", catalog_record(CATALOGS[which]), now)
        elif kind == "erase":
            erased = {"account_id": f"account-{which}"} if which < 5 else {"user_id": f"u{which - 5}"}
            append_to_all(world, "erase", erased, now)
        if slices is None:
            world.run(now)
        else:
            for partition in range(PARTITIONS):
                world.step(partition, now)
    world.slices = None
    world.run(now)
    return world


def append_to_all(world: World, kind: str, content: dict[str, Any], at: int) -> None:
    for partition in range(PARTITIONS):
        world.append(partition, None, json.dumps(content).encode(), at, ("pegel-control", kind.encode()))


def catalog_record(content: dict[str, Any]) -> dict[str, Any]:
    program = compile_catalog(Catalog.model_validate(content))
    return {"version": program.version, "content": program.content}


def by_account(transitions: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for transition in transitions:
        found.setdefault(transition["account_id"], []).append(transition)
    return found


def replayed(world: World) -> list[dict[str, Any]]:
    """The transitions of a replay of the dumped log."""

    def resolve(_event: object) -> str:
        raise AssertionError("a dump of the log says the account")

    replay = Replay(compile_catalog(Catalog.model_validate(RANKED)), resolve, follow_catalog=True)
    for partition, log in enumerate(world.logs):
        for record in log:
            envelope = {
                "topic": "account.events.v1",
                "partition": partition,
                "offset": record.offset,
                "ts": record.timestamp,
                "headers": [
                    part if isinstance(part, str) else (part or b"").decode() for h in record.headers for part in h
                ],
                "key": None if record.key is None else record.key.decode(),
                "payload": (record.value or b"").decode(),
            }
            replay.feed(Line("dump", record.offset, json.dumps(envelope).encode()))
    transitions = [json.loads(told(found, emitted(None)).value) for found in replay.finish()]
    for transition in transitions:
        transition.pop("emitted_at")
    return sorted(transitions, key=lambda transition: int(transition["sequence"]))


@settings(max_examples=60, deadline=None)
@given(steps, st.sets(st.integers(0, 39), max_size=10))
def test_restarts_anywhere_change_nothing(given_steps: list[Step], restarts: set[int]) -> None:
    whole, broken = play(given_steps, set()), play(given_steps, restarts)
    assert by_account(broken.transitions()) == by_account(whole.transitions())


@settings(max_examples=60, deadline=None)
@given(steps)
def test_a_replay_of_the_dumped_log_takes_the_same_steps(given_steps: list[Step]) -> None:
    world = play(given_steps, set())
    assert by_account(replayed(world)) == by_account(world.transitions())


@settings(max_examples=60, deadline=None)
@given(steps, st.sets(st.integers(0, 39), max_size=10), st.lists(st.integers(0, 3), min_size=1, max_size=9))
def test_slices_and_restarts_between_them_take_the_steps_of_a_replay(
    given_steps: list[Step], restarts: set[int], slices: list[int]
) -> None:
    with patch.object(stage, "SLICE_ACCOUNTS", 1):
        world = play(given_steps, restarts, slices)
    assert by_account(replayed(world)) == by_account(world.transitions())
    assert [one.has_backlog() for one in world.stages] == [False, False]


batches = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3 * DAY)), min_size=1, max_size=80)


@settings(max_examples=60, deadline=None)
@given(batches, st.integers(2, 80))
def test_it_makes_no_difference_in_how_large_batches_the_log_is_applied(sent: list[tuple[int, int]], size: int) -> None:
    """Large batches are applied account by account (`grouping`)."""
    worlds = [World(config(RANKED, clock="off")), World(config(RANKED, clock="off"))]
    for world, step, grouped_from in zip(worlds, (1, size), (len(sent) + 2, 2), strict=True):
        with patch.object(grouping, "GROUPED_FROM_RECORDS", grouped_from):
            now = START
            for number, (account, delay_ms) in enumerate(sent):
                now += delay_ms
                world.publish(f"account-{account}", f"m{number - number % 7}" if account == 6 else f"m{number}", now)
            for first in range(0, len(sent), step):
                world.stages[0].apply(world.logs[0][first : first + step])
            world.flush(0)
    one_by_one, together = worlds
    assert by_account(together.transitions()) == by_account(one_by_one.transitions())
    rows = [{key: row for key, row in world.rows[0].items() if key.startswith(ACCOUNT)} for world in worlds]
    assert rows[0] == rows[1]


@settings(max_examples=60, deadline=None)
@given(steps)
def test_an_account_counts_its_transitions_without_a_gap(given_steps: list[Step]) -> None:
    for transitions in by_account(play(given_steps, set()).transitions()).values():
        assert [t["sequence"] for t in transitions] == list(range(1, len(transitions) + 1))
        assert len({t["transition_id"] for t in transitions}) == len(transitions)
