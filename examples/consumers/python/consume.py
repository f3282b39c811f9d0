"""Handle every transition of Pegel once, however often this program is killed.

    consume.py BOOTSTRAP GROUP JOURNAL

TOPIC_PREFIX in the environment is that of the deployment. What is done about a transition is a line in the journal, a
file that stands for your database: it says too what was done already, and is written before the offset is committed.
Several processes of one group need a database in place of the file, for partitions move between them.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer

PREFIX = os.environ.get("TOPIC_PREFIX", "")
TRANSITIONS, MEMBERSHIP = PREFIX + "segments.transitions.v1", PREFIX + "segments.membership.v1"
MAJOR = "1"
FORGOTTEN = -1


class Journal:
    """Appends lines, and knows the last transition of every account: one entry each, however long it runs."""

    def __init__(self, path: str) -> None:
        self.last: dict[str, tuple[int, str]] = {}
        self.file = Path(path).open("a+b")  # noqa: SIM115 - open as long as this program runs
        self.file.seek(0)
        whole, end, _ = self.file.read().rpartition(b"\n")
        self.file.truncate(len(whole + end))  # a line that a crash cut off was not done
        for line in whole.splitlines():
            self.note(*json.loads(line))

    def note(self, account: str, sequence: int, transition_id: str, *_: str) -> None:
        self.last[account] = (sequence, transition_id)

    def append(self, *entry: Any) -> None:
        self.file.write(json.dumps(entry).encode() + b"\n")
        self.file.flush()
        self.note(*entry)

    def sync(self) -> None:
        os.fsync(self.file.fileno())


def transition(record: Any, journal: Journal) -> None:
    kind = dict(record.headers() or []).get("ce_type", b"no ce_type").decode()
    found = re.fullmatch(r"pegel\.segment\.transition\.v(\d+)", kind)
    if found is None or found[1] != MAJOR:
        place = f"{record.topic()} {record.partition()}:{record.offset()}"
        sys.exit(f"{place}: {kind} is not version {MAJOR}: read the changelog, then change this program")
    told = json.loads(record.value())
    account, sequence, identity = told["account_id"], told["sequence"], told["transition_id"]
    last, last_id = journal.last.get(account, (None, None))
    if last is not None and (last == FORGOTTEN or sequence <= last):
        if sequence == last and identity != last_id:
            sys.exit(f"{account} {sequence}: {identity} and {last_id} have one number: not the log this journal is of")
        return  # a repeat
    if last is not None and sequence != last + 1:  # it is lost: the account's membership says where it is
        print(f"gap: {account} {last + 1} to {sequence - 1}", file=sys.stderr, flush=True)
    journal.append(account, sequence, identity, told["direction"], told["segment"])


def membership(record: Any, journal: Journal) -> None:
    account = record.key().decode()
    if record.value() is None and journal.last.get(account, (0, ""))[0] != FORGOTTEN:
        journal.append(account, FORGOTTEN, "", "forgotten", "")  # erased: delete what you know of it


def main(bootstrap: str, group: str, path: str) -> None:
    journal = Journal(path)
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
        "isolation.level": "read_committed", "enable.auto.commit": False, "session.timeout.ms": 6_000,
    })  # fmt: skip
    consumer.subscribe([TRANSITIONS, MEMBERSHIP])
    while True:
        records = consumer.consume(500, timeout=1.0)
        for record in records:
            if record.error():
                sys.exit(str(record.error()))
            (transition if record.topic() == TRANSITIONS else membership)(record, journal)
        if records:
            journal.sync()  # first what was done, then that it was: a crash in between repeats, and the journal knows
            consumer.commit(asynchronous=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
