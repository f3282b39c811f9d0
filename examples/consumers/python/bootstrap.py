"""Where every account stands, and from there on each of its transitions, with no gap and no repeat.

    bootstrap.py BOOTSTRAP

Transitions are kept for a time, memberships for ever. So a reader that begins, or that has lost what it knew, takes the
memberships first and goes on with transitions from a little before: what a membership knows of already is skipped by
its sequence. A little is longer than a transaction may be open: what was not yet readable when the memberships were
read is younger than that.
"""

import json
import os
import sys
import time
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

PREFIX = os.environ.get("TOPIC_PREFIX", "")
TRANSITIONS, MEMBERSHIP = PREFIX + "segments.transitions.v1", PREFIX + "segments.membership.v1"
A_LITTLE_MS = 15 * 60_000  # the brokers' transaction.max.timeout.ms


def partitions(consumer: Any, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in consumer.list_topics(topic, 10).topics[topic].partitions]


def a_little_before(consumer: Any) -> list[TopicPartition]:
    since_ms = int(time.time() * 1000) - A_LITTLE_MS
    asked = [TopicPartition(one.topic, one.partition, since_ms) for one in partitions(consumer, TRANSITIONS)]
    found = consumer.offsets_for_times(asked, 10)
    for one in found:
        if one.offset < 0:  # nothing is so young: from the end as it is now, and not as it will be when reading begins
            one.offset = consumer.get_watermark_offsets(one, 10)[1]
    return list(found)


def stand(consumer: Any) -> dict[str, dict[str, Any]]:
    """The memberships, read to their end."""
    known: dict[str, dict[str, Any]] = {}
    consumer.assign([TopicPartition(one.topic, one.partition, 0) for one in partitions(consumer, MEMBERSHIP)])
    left = {one.partition for one in consumer.assignment()}
    while left:
        record = consumer.poll(10)
        if record is None:
            sys.exit("the brokers are silent")
        if record.error():
            if record.error().code() != KafkaError._PARTITION_EOF:
                sys.exit(str(record.error()))
            left.discard(record.partition())
        elif record.value() is None:
            known.pop(record.key().decode(), None)
        else:
            found = json.loads(record.value())
            if found["sequence"] >= known.get(found["account_id"], found)["sequence"]:
                known[found["account_id"]] = found
    return known


def main(bootstrap: str) -> None:
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "pegel-example-unused", "auto.offset.reset": "earliest",
        "isolation.level": "read_committed", "enable.auto.commit": False, "enable.partition.eof": True,
    })  # fmt: skip
    begin = a_little_before(consumer)
    known = stand(consumer)
    for account, found in known.items():
        print("stands", account, found["sequence"], *(one["segment"] for one in found["segments"]), flush=True)
    last = {account: found["sequence"] for account, found in known.items()}
    consumer.assign(begin)
    while True:
        record = consumer.poll(1)
        if record is None:
            continue
        if record.error():
            if record.error().code() != KafkaError._PARTITION_EOF:
                sys.exit(str(record.error()))
            continue
        told = json.loads(record.value())
        if told["sequence"] > last.get(told["account_id"], 0):
            last[told["account_id"]] = told["sequence"]
            print(told["direction"], told["account_id"], told["sequence"], told["segment"], flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
