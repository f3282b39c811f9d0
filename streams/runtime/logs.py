"""A worker's log: standard error, one line an event, never a payload.

Faust, mode and aiokafka speak up only when something is wrong: at a lower level they describe every step, and Faust
prints messages it waits for. While a broker is away the Kafka client says so fifty times a second: of lines of one kind
it may write one every ten seconds, and the next one tells how many were left out.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

CHATTY: Final = (
    "faust",
    "mode",
    "aiokafka",
    "asyncio",
    # mode writes the comings and goings of services to the log of the module that defines them
    "streams.runtime.faust_app",
    "streams.runtime.transport",
)
PAUSE_S: Final = 10.0
KINDS_MAX: Final = 500


class Pause(logging.Filter):
    """Lets one line of a kind - logger and template - pass in ``PAUSE_S`` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("aiokafka"):
            return True
        kind, now = (record.name, str(record.msg)), self._clock()
        last, left_out = self._kinds.get(kind, (now - PAUSE_S, 0))
        if now - last < PAUSE_S:
            self._kinds[kind] = (last, left_out + 1)
            return False
        if len(self._kinds) >= KINDS_MAX:
            self._kinds.clear()
        self._kinds[kind] = (now, 0)
        if left_out:
            record.msg = f"{record.msg} (and {left_out} more like this)"
        return True


def hush() -> None:
    """After a failure: what Faust and the client have to say now are its consequences, with tracebacks."""
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def configure(stage: str) -> None:
    logging.basicConfig(
        level=logging.INFO, format=f"%(asctime)s %(levelname)s [{stage}] %(name)s: %(message)s", force=True
    )
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(Pause())
