"""A worker's log: standard error, one line an event, never a payload.

Faust, mode and aiokafka speak up only when something is wrong: at a lower level they describe every step, and Faust
prints messages it waits for.
"""

import logging
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


def configure(stage: str) -> None:
    logging.basicConfig(
        level=logging.INFO, format=f"%(asctime)s %(levelname)s [{stage}] %(name)s: %(message)s", force=True
    )
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
