"""What an event costs as accounts and segments become more."""

import re
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks import load
from benchmarks.alone import run_alone
from benchmarks.figures import Figure, Row, Size
from benchmarks.midnight import partition_row
from benchmarks.rig import PARTITIONS, Rig, Span, catalog, say
from benchmarks.ten_segments import CATALOG
from schemas.wire import decode_event
from streams.catalogs import load_catalog
from streams.engagement import rows
from streams.engine.partition import Partition
from streams.engine.program import Program, compile_catalog

FEW_ACCOUNTS: Final = 10_000
VARIANTS: Final = 10
WINDOW_VARIANTS: Final = 3
SEED_ACCOUNTS: Final = 500
SEED_EVENTS: Final = 15_000
SPAN_MS: Final = 10 * load.DAY_MS
"""Of the few accounts' events. Of more accounts as many events are from a shorter time: each is as active."""
WARM: Final = 0.2
PREFIX: Final = "acct"
BEGIN_MS: Final = load.START_MS + load.JOB_DAYS * load.DAY_MS
JOB_EVENTS: Final = 50
"""Of each account in the ten-segment job."""

_WINDOW: Final = re.compile(r"(days|before)=(\d+)")
_THRESHOLD: Final = re.compile(r"((?:core_features|active_days)\(days=\d+\) [<>]=? \d+)|([<>]=? )(\d+)\b(?! \*|\.)")
"""What cannot be as large as one likes, or the number that a value is compared with."""


def measure(rig: Rig, size: Size) -> list[Figure]:
    many = rig.folder / "many_segments.yaml"
    many.write_text(yaml.safe_dump(many_segments(), sort_keys=False), encoding="utf-8")
    states = seeds()
    by_accounts, by_segments = [], []
    for _ in range(size.runs):
        few, full = (_population(rig, states, count, size.events) for count in (FEW_ACCOUNTS, size.accounts))
        by_accounts.append(full.cpu_s_per_million / few.cpu_s_per_million)
        ten, hundred = (_rules(rig, path, size.events) for path in (CATALOG, many))
        by_segments.append(hundred.cpu_s_per_million / ten.cpu_s_per_million)
    return [
        Figure(
            what=f"cost per event, {FEW_ACCOUNTS:,} -> {size.accounts:,} accounts", unit="times", target=1.3,
            stretch=1.1, runs=tuple(by_accounts),
            beside={"CPU s/M": f"{few.cpu_s_per_million:.1f} -> {full.cpu_s_per_million:.1f} in the last run"},
        ),
        Figure(
            what="cost per event, 10 -> 100 segments", unit="times", target=3, stretch=2, runs=tuple(by_segments),
            beside={"CPU s/M": f"{ten.cpu_s_per_million:.1f} -> {hundred.cpu_s_per_million:.1f} in the last run"},
        ),
    ]  # fmt: skip


def many_segments() -> dict[str, Any]:
    """The ten segments in ten variants: each with thresholds of its own, over three sets of windows."""
    document: dict[str, Any] = yaml.safe_load(CATALOG.read_text(encoding="utf-8"))
    document["name"] = "many-segments"
    document["segments"] = [
        {
            key: value if key == "id" and not by else f"{value}_{by}" if key == "id" else _varied(value, by)
            for key, value in segment.items()
        }
        for by in range(VARIANTS)
        for segment in document["segments"]
    ]
    return document


def _varied(rule: str, by: int) -> str:
    moved = _WINDOW.sub(lambda found: f"{found[1]}={int(found[2]) + by % WINDOW_VARIANTS}", rule)
    return _THRESHOLD.sub(lambda found: found[1] or f"{found[2]}{int(found[3]) + by}", moved)


def rules() -> Program:
    return compile_catalog(load_catalog(str(CATALOG)))


def seeds() -> list[bytes]:
    """Stored states of accounts after a month of the ten-segment job."""
    partition = Partition(rules())
    for event in load.ten_segments(SEED_EVENTS, SEED_ACCOUNTS):
        partition.apply(event.account, decode_event(event.raw), event.raw, event.arrival_ms)
    partition.advance_to(BEGIN_MS)
    partition.take_transitions()
    return [stored for _, stored in partition.take_changes()]


def _population(rig: Rig, states: list[bytes], accounts: int, events: int) -> Span:
    """So many accounts exist; the same number of events comes in."""
    with rig.deployment(more=catalog(CATALOG)) as made:
        feed = load.Feed(rig.broker.bootstrap, made.topics.accounts_changelog)
        for number in range(accounts):
            key = rows.ACCOUNT + f"{PREFIX}-{number}".encode()
            feed.send(key, states[number % len(states)], load.START_MS, number % PARTITIONS)
        for partition in range(PARTITIONS):
            feed.send(rows.PARTITION, partition_row(rules(), BEGIN_MS), load.START_MS, partition)
        feed.close()
        feed = load.Feed(rig.broker.bootstrap, made.input_topic)
        for event in load.skewed(events, accounts, BEGIN_MS, SPAN_MS * FEW_ACCOUNTS // accounts, PREFIX):
            number = int(event.account.removeprefix(f"{PREFIX}-"))
            feed.send(event.account.encode(), event.raw, event.arrival_ms, number % PARTITIONS)
        feed.close()
        made.worker()
        span = made.span(WARM)
        made.require_decided()
    say(f"{accounts:,} accounts: {span.cpu_s_per_million:.1f} CPU s/M")
    return span


def _rules(rig: Rig, path: Path, events: int) -> Span:
    with rig.deployment(more=catalog(path)) as made:
        load.publish(rig.broker.bootstrap, made.input_topic, load.ten_segments(events, events // JOB_EVENTS))
        made.worker()
        span = made.span(WARM)
        made.require_decided()
    say(f"{path.stem}: {span.cpu_s_per_million:.1f} CPU s/M")
    return span


ROW: Final = Row(
    name="scaling",
    title="More accounts, more segments",
    how=(
        "Accounts: the changelog holds 10,000 or 1,000,000 accounts as a month of the ten-segment job leaves them; "
        "then the same number of events comes in, drawn from all accounts with the same skew: over ten days, or over a "
        "hundredth of that, so that an account is as active in both. Of the million, most events meet an account for "
        "the first time since the start. Segments: the ten-segment job under its ten "
        "segments, and under a hundred: ten variants of each with thresholds of their own over three sets of windows. "
        "Ratios of processor time per event, from 20 % to all committed, within one run."
    ),
    full=Size(runs=2, events=500_000, accounts=1_000_000),
    quick=Size(events=20_000, accounts=20_000),
    measure=measure,
)

if __name__ == "__main__":
    run_alone(ROW)
