"""One pass over files under one catalog or several, each with an engine of its own."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from schemas.dead_letter import Rejected
from streams.engine.program import Program
from streams.replay.lines import Line
from streams.replay.run import Replay, Resolve
from streams.simulate.course import Course, steps_of


@dataclass(frozen=True, slots=True)
class Ran:
    """`first_ms` and `last_ms`: of the arrivals; None if no line could be used. `rejected`: lines that could not."""

    courses: tuple[Course, ...]
    first_ms: int | None
    last_ms: int | None
    rejected: int


def simulated(
    programs: Sequence[Program],
    lines: Iterable[Line],
    resolver: Callable[[], Resolve],
    until_ms: int | None,
    advance: Callable[[int], None] = lambda _count: None,
) -> Ran:
    """Take every line under every program; at the end all accounts stand at `until_ms`, else at the last arrival.

    `resolver` makes what finds the account of an event, which learns as it goes: one for each program. `advance` is
    told how many lines were taken.
    """
    replays = [Replay(program, resolver(), until_ms) for program in programs]
    count = rejected = 0
    for count, line in enumerate(lines, 1):
        refused = 0
        for replay in replays:
            try:
                replay.feed(line)
            except Rejected:
                refused = 1
        rejected += refused
        advance(count)
    arrivals = [replay.arrivals for replay in replays if replay.arrivals is not None]
    first = min((arrival[0] for arrival in arrivals), default=None)
    last = max((arrival[1] for arrival in arrivals), default=None)
    end = until_ms if until_ms is not None else last
    courses = tuple(_course(replay, program, end) for replay, program in zip(replays, programs, strict=True))
    return Ran(courses, first, end, rejected)


def _course(replay: Replay, program: Program, end_ms: int | None) -> Course:
    if end_ms is not None:
        for partition in replay.partitions:
            partition.advance_to(end_ms)
    steps = tuple(steps_of(replay.finish()))
    members: dict[str, set[str]] = {segment.id: set() for segment in program.segments}
    for account_id in {step.account_id for step in steps}:
        for partition in replay.partitions:
            found = partition.account(account_id)
            for segment in found[0].members if found is not None else ():
                members[segment].add(account_id)
    return Course(
        program.catalog.name, program.version, tuple(members), steps, replay.accounts,
        {segment: frozenset(ids) for segment, ids in members.items()},
    )  # fmt: skip
