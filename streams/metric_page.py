"""`docs/metrics.md`, made from the table in `metrics`: `python -m streams.metric_page > docs/metrics.md`."""

import sys
from collections.abc import Iterator
from typing import Final

from streams import metrics
from streams.limits import GRACE_MS, OVERDUE_COUNTED_MAX
from streams.metrics import CANARY, LINK, OTHER, STAGES, Definition, Kind, Label, Over, Whence, series_max, shown_by

SECTIONS: Final = (
    ("Is it healthy, is it right", metrics.FRESH),
    ("Records", metrics.RECORDS),
    ("Flushes and state", metrics.WORK),
    ("The worker", metrics.WORKER),
    ("Telling people", metrics.TELLING),
    ("Services that are no workers", metrics.SERVICES),
)

INTRODUCTION: Final = """\
# Metrics

<!-- Made from streams/metrics.py by `python -m streams.metric_page > docs/metrics.md`; a test holds it current. -->

Every worker shows them on `/metrics` of its port (`web.port`), and so do `pegel link serve` and `pegel canary`. Names
begin with `pegel_`; units are seconds, bytes, and ratios from 0 to 1. A worker process is one stage and says so in the
label `stage`. No account, user or event name ever is a label.

* Words that are known beforehand are there from the start with 0, so that a rate can be taken before the first time.
* Partitions and segments come and go. A level vanishes with its word: a partition that has moved to another worker is
  shown there alone. What is beyond a label's bound is added up as `{other}`.
* Counts begin at 0 with the process, as Prometheus expects. What is a level - members, state - is exact after a
  restart, for it is stored with the state; summed over the workers of a stage it is that of the whole deployment.
* Asked for OpenMetrics, as Prometheus does, `pegel_freshness_seconds_bucket` has exemplars: the `transition_id` of the
  latest transition of each bucket (Prometheus keeps them with `--enable-feature=exemplar-storage`). There are no
  `_created` series.
"""

FRESHNESS: Final = f"""\
## What freshness is

`pegel_freshness_seconds` ends when the transaction of the flush is committed: from then on readers of what is committed
see it. Where it begins is the Kafka timestamp of the input record:

| stage | begins with | so it spans | observed |
|---|---|---|---|
| intake | the record of `product.events.v1` | intake | samples: up to {{samples}} records of a flush |
| engagement | the record of `account.events.v1`, whose timestamp is that of `product.events.v1`: intake keeps it | from publishing an event to its transition: **end to end** | once for each transition that an event led to |
| router | the transition's record, stamped when its flush began | telling whom it concerns | samples, as above |
| courier | the inbox record, stamped when the router's flush began | until it is planned for its destination, not until it is delivered: `pegel_oldest_undelivered_seconds` is that | samples, as above |

Topics are created with `message.timestamp.type=CreateTime`, so the first timestamp is set by the producer's client when
it sends. If its clock is ahead, freshness is too good, and never below 0; if it is behind, too bad. What arrived more
than {metrics.HISTORY_S // 3_600} hours ago is history that somebody publishes or restores, and is left out.
Transitions that no event led to - deadlines, percentiles, a new catalog - are not in it either: `pegel_overdue_seconds`
says whether the first of these come in time.
"""  # noqa: E501 - rows of a table

MEASURED: Final = f"""\
## How the others are measured

* **Lag.** `pegel_lag_records` counts up to the end of what readers of committed records may see, so an open transaction
  of a producer is no lag here: the check `open-transactions` of `pegel doctor` finds it. `pegel_lag_seconds` is the age
  of the oldest record that was fetched and not applied; where none was fetched yet, it is taken to be as old as the
  last one that was applied, which is at most too much. Both begin when the partition is loaded and has been fetched
  once; `pegel_restore_progress_ratio` and `pegel_ready` tell of the time before.
* **Overdue deadlines.** A deadline fires when the clock is {GRACE_MS // 1_000} s past it: as long records may be late.
  From then on it is overdue, and up to two seconds are usual, for the clock goes through the log, once a second. Of a
  partition at most {OVERDUE_COUNTED_MAX:,} are looked at. With `engagement.clock: off`, and while history is published
  (`engagement.clock_hold_s`), none is overdue.
* **Watermark delay.** The clock of a partition is the arrival of its latest record, or its latest clock record.
* **Members** are counted from transitions and stored with the state, so a worker has them as soon as it has loaded.
  State that a version before this one wrote is counted once while it is loaded. Between a new catalog and the moment
  when it has reached all accounts, those that it has not reached count where they were.
* **The canary** is an account for each partition (and another for each once `pegel canary --once` was run). They count
  as any other, in `pegel_members` and in `pegel_transitions_total`; `pegel_canary_crossings_total` says how many of the
  transitions are theirs. To tell them apart would cost a look at the name in each transition, and they only show where
  a segment has about as few accounts as there are partitions. They are left out where somebody would be told of them
  (the router, lists), and of percentiles.
* **State in bytes** is that of the rows in the changelog, when it is compacted. In memory a decoded account takes more.
* **Lost records** are seen when a worker loads a partition whose log begins behind the place where its state ends. The
  count starts above 0 then, so ask for its value and not for its growth.
* **Failures**: the first one alone counts, the others are its consequences. What the watchdog ends is in the log only.
* **Catalog and build**: join other metrics with these to see by catalog or version.
"""

BOUNDS: Final = """\
## How many series

At most, by process, with every label at its bound; some ten of Python's own (`process_*`) come with them:

| process | metrics | series |
|---|---|---|
"""


def page() -> Iterator[str]:
    from streams.runtime.partition import SAMPLES_MAX  # noqa: PLC0415 - the runtime reads the table too

    yield INTRODUCTION.replace("{other}", OTHER)
    for title, definitions in SECTIONS:
        yield f"\n## {title}\n\n"
        yield "| metric | type | labels | shown by | what it is | what it answers |\n|---|---|---|---|---|---|\n"
        yield from map(_row, definitions)
    yield "\n" + FRESHNESS.replace("{samples}", str(SAMPLES_MAX))
    yield "\n" + MEASURED
    yield from _labels()
    yield "\n" + BOUNDS
    for service in (*STAGES, *LINK, *CANARY):
        yield f"| {service} | {len(shown_by(service))} | {series_max(service):,} |\n"


def _row(one: Definition) -> str:
    kind = one.kind.value if not one.unit else f"{one.kind.value}, {one.unit}"
    labels = ", ".join(f"`{label.name}`" for label in one.labels)
    combined = ""
    if one.kind is Kind.GAUGE and one.fed_by is metrics.FedBy.STAGE and one.over is Over.MAX and not one.labels:
        combined = " The greatest of the worker's partitions."
    who = "every stage" if set(STAGES) <= set(one.shown_by) else ", ".join(one.shown_by)
    return f"| `{one.metric}` | {kind} | {labels} | {who} | {one.text}{combined} | {one.asks} |\n"


def _labels() -> Iterator[str]:
    yield "\n## Labels\n\n| label | of | words |\n|---|---|---|\n"
    of: dict[Label, list[str]] = {}
    for one in metrics.DEFINITIONS:
        for label in one.labels:
            of.setdefault(label, []).append(f"`{one.metric}`")
    for label, names in of.items():
        yield f"| `{label.name}` | {', '.join(names)} | {_words(label)} |\n"


def _words(label: Label) -> str:
    match label.whence:
        case Whence.CLOSED:
            return ", ".join(f"`{word}`" for word in label.words)
        case Whence.DEPLOYED:
            return f"{label.means}; {label.words_max} at most"
        case Whence.FOUND:
            return f"{label.means}; {label.words_max} at most, and `{OTHER}`"


if __name__ == "__main__":
    sys.stdout.write("".join(page()))
