"""Three pages per worker, for whoever runs it.

``/livez``   200 while the event loop answers and nothing has failed. Asks nobody: a broker that is down is no reason to
             restart workers.
``/readyz``  200 when every assigned partition is loaded and at work; JSON with the partitions and how far a load is.
``/metrics`` Prometheus.

A small aiohttp server of its own, not Faust's: it answers before Kafka does and while Faust rebalances.
"""

import json
import time
from contextlib import AbstractAsyncContextManager
from typing import Any

from aiohttp import web

from streams.metric_registry import Metrics
from streams.runtime.assignment import Assignment
from streams.runtime.failure import FailStop
from streams.runtime.progress import progress
from streams.web_pages import Page, metrics_page, served


def readiness(stage: str, assignment: Assignment, failure: FailStop) -> tuple[bool, dict[str, Any]]:
    """What ``/readyz`` says: whether, and the numbers behind it."""
    loading = {one.partition: one for one in assignment.loadings}
    partitions = []
    for number in sorted(assignment.assigned | loading.keys()):
        held, load = assignment.get(number), loading.get(number)
        entry: dict[str, Any] = {"partition": number, "state": "waiting"}
        if held is not None:
            entry |= {"state": "ready" if held.active else "waiting", "next_offset": held.next, "lag": held.lag()}
        elif load is not None:
            percent = round(progress([load], 0.0).percent, 1)
            entry |= {
                "state": "loading", "rows": load.rows, "offset": load.read_to, "end": load.end, "percent": percent,
            }  # fmt: skip
        partitions.append(entry)
    ready = assignment.settled and not failure.failed
    whole = progress(assignment.loadings, time.monotonic() - assignment.loading_since)
    return ready, {
        "ready": ready,
        "stage": stage,
        "failed": failure.reason.value if failure.reason else None,
        "rebalancing": not assignment.settled,
        "loading": {
            "rows": whole.rows,
            "percent": round(whole.percent, 1),
            "seconds_left": _rounded(whole.seconds_left),
        }
        if assignment.loadings
        else None,
        "partitions": partitions,
    }


def _rounded(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


def _pages(metrics: Metrics, assignment: Assignment, failure: FailStop) -> dict[str, Page]:
    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="alive\n") if not failure.failed else web.Response(status=503, text="failed\n")

    async def readyz(_: web.Request) -> web.Response:
        ready, content = readiness(metrics.service, assignment, failure)
        body = json.dumps(content) + "\n"
        return web.Response(status=200 if ready else 503, text=body, content_type="application/json")

    return {"/livez": livez, "/readyz": readyz, "/metrics": metrics_page(metrics)}


def health_server(
    host: str, port: int, metrics: Metrics, assignment: Assignment, failure: FailStop
) -> AbstractAsyncContextManager[str]:
    """Serve the pages, as `served` does."""
    return served(_pages(metrics, assignment, failure), host, port)
