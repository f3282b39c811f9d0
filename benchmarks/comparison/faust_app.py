"""The job on stock Faust, as its documentation writes such a thing: one agent, one table, JSON in and out."""

import os
from typing import Any

import faust

from benchmarks.comparison.job import at_ms_of, new_account, take

PARTITIONS = int(os.environ["COMPARISON_PARTITIONS"])

app = faust.App(
    os.environ["COMPARISON_GROUP"],
    broker=f"kafka://{os.environ['COMPARISON_BOOTSTRAP']}",
    store="memory://",
    datadir=os.environ["COMPARISON_FOLDER"],
    topic_partitions=PARTITIONS,
    topic_replication_factor=1,
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
)
events = app.topic(os.environ["COMPARISON_EVENTS"], key_serializer="raw", value_serializer="json")
transitions = app.topic(os.environ["COMPARISON_TRANSITIONS"], key_serializer="raw", value_serializer="json")
accounts = app.Table("accounts", partitions=PARTITIONS)


@app.agent(events)  # type: ignore[untyped-decorator]
async def engagement(stream: faust.StreamT) -> None:
    async for key, event in stream.items():
        account_id = key.decode()
        at_ms = at_ms_of(event)
        account: dict[str, Any] = accounts.get(account_id) or new_account(at_ms)
        for transition in take(account_id, account, event, at_ms):
            await transitions.send(key=key, value=transition)
        accounts[account_id] = account


if __name__ == "__main__":
    app.main()
