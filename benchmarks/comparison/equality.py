"""Whether an engine decided what `pegel replay` decides over the same events, account by account."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from schemas.timestamps import parse_ms

DIFFERENCES_SHOWN_MAX: Final = 5


class Decided(NamedTuple):
    """What has to be equal of a transition."""

    segment: str
    direction: str
    effective_at_ms: int
    sequence: int


Decisions = Mapping[str, list[Decided]]


class UnequalError(Exception):
    """An engine decided otherwise. The text says where."""


def decisions(records: Iterable[bytes]) -> dict[str, list[Decided]]:
    """The transitions of each account, in the order in which they were written."""
    found: dict[str, list[Decided]] = {}
    for record in records:
        one: dict[str, Any] = json.loads(record)
        at = one["effective_at"]
        at_ms = parse_ms(at) if isinstance(at, str) else at
        if not isinstance(at_ms, int):
            raise UnequalError(f"{at!r} is no time")
        decided = Decided(one["segment"], one["direction"], at_ms, one["sequence"])
        found.setdefault(one["account_id"], []).append(decided)
    return found


def replayed(events: Path, catalog: Path) -> dict[str, list[Decided]]:
    """What has to come out of a file of events."""
    command = [sys.executable, "-c", "from streams.cli import main; main()", "replay"]
    run = subprocess.run(
        [*command, str(events), "--catalog", str(catalog), "--strict"], capture_output=True, check=False
    )
    if run.returncode != 0:
        raise UnequalError(f"the replay failed: {run.stderr.decode(errors='replace')}")
    return decisions(run.stdout.splitlines())


def require_equal(expected: Decisions, found: Decisions) -> int:
    """The number of transitions, if all are equal.

    Raises:
        UnequalError: they are not; names the first accounts that differ.
    """
    accounts = sorted(expected.keys() | found.keys())
    differing = [account for account in accounts if expected.get(account) != found.get(account)]
    if differing:
        shown = "\n".join(_first_difference(one, expected, found) for one in differing[:DIFFERENCES_SHOWN_MAX])
        raise UnequalError(f"{len(differing)} of {len(expected)} accounts differ, among them:\n{shown}")
    return sum(map(len, expected.values()))


def _first_difference(account: str, expected: Decisions, found: Decisions) -> str:
    wanted, got = expected.get(account, []), found.get(account, [])
    place = next((at for at, (one, other) in enumerate(zip(wanted, got, strict=False)) if one != other), None)
    if place is None:
        return f"{account}: {len(got)} transitions instead of {len(wanted)}"
    return f"{account}: {got[place]} instead of {wanted[place]}"
