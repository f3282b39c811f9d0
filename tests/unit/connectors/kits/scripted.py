"""A rig whose situations are faults of one route: what most providers on HTTP need."""

from collections.abc import Mapping

from tests.providers.clock import ManualClock
from tests.providers.faults import Fault, dropped, endless_body, gzip_bomb, html_page, late, status, trickling_body
from tests.providers.server import ProviderServer
from tests.unit.connectors.kit import LATE_S, Case

USUAL_FAULTS: Mapping[Case, Fault] = {
    Case.TOO_FAST: status(429, headers={"Retry-After": "7"}),
    Case.REFUSED: status(400),
    Case.UNAUTHORIZED: status(401),
    Case.VANISHED: status(410),
    Case.UNWELL: status(503),
    Case.LOST: dropped(commit=False),
    Case.LANDED: dropped(commit=True),
    Case.LANDED_LATE: late(LATE_S, commit=True),
    Case.HTML_PAGE: html_page(),
    Case.BOMB: gzip_bomb(),
    Case.ENDLESS: endless_body(),
    Case.TRICKLE: trickling_body(),
}


class ScriptedRig:
    """`faults` says what this provider does otherwise, in its own words."""

    route = ""
    faults: Mapping[Case, Fault] = USUAL_FAULTS

    def __init__(self, server: ProviderServer, clock: ManualClock) -> None:
        self.server = server
        self.clock = clock

    def meet(self, case: Case) -> None:
        self.server.script(self.route, self.faults.get(case, USUAL_FAULTS[case]))

    def recover(self) -> None:
        self.clock.advance(1.0)
