"""Segment, and data planes that speak as it does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from schemas.playbook import Destination
from streams.connectors.segment.config import SegmentConfig
from streams.connectors.segment.connector import SEGMENT
from tests.providers.clock import ManualClock
from tests.providers.server import Ask, ProviderServer
from tests.providers.tracking import WRITE_KEY, TrackingApi
from tests.unit.connectors.kit import HTTP_CASES, STATUSES, Case, HttpLaws, K, Kit, Rig
from tests.unit.connectors.kits.scripted import ScriptedRig


class SegmentRig(ScriptedRig):
    route = "batch"

    def __init__(self, api: TrackingApi, clock: ManualClock, server: ProviderServer) -> None:
        super().__init__(server, clock)
        self.api = api

    def config(self, timeout_s: float = 5.0) -> Destination:
        return self.config_at(self.server.url(), timeout_s)

    def config_at(self, url: str, timeout_s: float = 5.0, *, allow_http: bool = True) -> Destination:
        return SegmentConfig.model_validate(
            {"id": "cdp", "type": "segment", "write_key": WRITE_KEY, "url": url, "timeout_s": timeout_s,
             "allow_http": allow_http}
        )  # fmt: skip

    def landed(self) -> list[str]:
        return sorted({call["messageId"][:36] for call in self.api.calls})


def _poison(rig: Rig, account: str) -> None:
    assert isinstance(rig, SegmentRig)
    rig.api.poisonous.add(account)


def _message_id(ask: Ask) -> str:
    return str(ask.json()["batch"][0]["messageId"])


@asynccontextmanager
async def segment_rig(_: Path) -> AsyncIterator[SegmentRig]:
    clock = ManualClock()
    api = TrackingApi(clock)
    async with ProviderServer(api) as server:
        yield SegmentRig(api, clock, server)


SEGMENT_KIT = Kit(
    SEGMENT,
    segment_rig,
    HTTP_CASES - {Case.VANISHED},
    secrets=(WRITE_KEY,),
    gives_ref=False,
    poison=_poison,
    http=HttpLaws(
        "batch",
        "",
        STATUSES | {204: K.OK, 404: K.AUTH, 410: K.AUTH},
        {2: K.AMBIGUOUS, 3: K.RETRY_DESTINATION, 4: K.REJECTED, 5: K.RETRY_DESTINATION},
        _message_id,
        keeps_connections=True,
    ),
)
