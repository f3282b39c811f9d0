"""What there is to see of a destination: levels for gauges, under the names of `streams.metrics`."""

from collections.abc import Iterator

from streams.notify.courier.post import Post
from streams.notify.deliver.dispatch import Dispatch


def levels(post: Post, dispatch: Dispatch, now_ms: int) -> Iterator[tuple[str, int]]:
    name, oldest_ms = post.name, post.outbox.oldest_ms
    yield f"open_deliveries:{name}", len(post.outbox)
    yield f"oldest_undelivered_seconds:{name}", 0 if oldest_ms is None else max(0, now_ms - oldest_ms) // 1_000
    yield f"parked_lanes:{name}", dispatch.lanes.parked
    yield f"held:{name}", int(post.held_after is not None)
    yield f"breaker:{name}:{dispatch.breaker.state.value}", 1
    yield f"planned_messages:{name}", post.planner.waiting
    yield f"budget_spent_messages:{name}", post.planner.spent(now_ms)
