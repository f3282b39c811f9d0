"""Laws of the verdict: what counts as fired, as missing, as unexplained, as gone."""

from tests.gameday.alerts import Alarm, Fired, Look, are_there, is_calm, judge, look_of

DOWN = Alarm("PegelStageDown", "page", "engagement")
BROKEN = Alarm("PegelCanaryBroken", "page", "missed")
TICKET = Alarm("PegelWorkerDown", "ticket", "engagement-1")
EXPECTED = {"PegelStageDown": "page"}


def looks(*firing: tuple[float, set[Alarm]]) -> list[Look]:
    return [Look(at_s, frozenset(alarms)) for at_s, alarms in firing]


def test_an_alert_is_timed_from_the_fault_and_its_end_from_the_repair() -> None:
    seen = looks((9, set()), (12, {DOWN}), (20, {DOWN}), (26, set()))

    verdict = judge(seen, 10, 21, EXPECTED, frozenset())

    assert verdict.fired == (Fired(DOWN, 2, 5),)
    assert verdict.is_right


def test_what_fires_from_before_the_fault_is_not_its_work() -> None:
    seen = looks((9, {DOWN, TICKET}), (12, {DOWN, TICKET}))

    verdict = judge(seen, 10, 11, EXPECTED, frozenset())

    assert verdict.fired == ()
    assert verdict.missing == ("PegelStageDown",)
    assert not verdict.is_right


def test_an_alert_of_another_severity_is_not_the_one_that_was_expected() -> None:
    seen = looks((9, set()), (12, {DOWN}))

    assert judge(seen, 10, 11, {"PegelStageDown": "ticket"}, frozenset()).missing == ("PegelStageDown",)


def test_a_page_that_nobody_expected_is_an_error_unless_the_fault_explains_it() -> None:
    seen = looks((9, set()), (12, {DOWN, BROKEN}))

    assert judge(seen, 10, 11, EXPECTED, frozenset()).unexplained == ("PegelCanaryBroken",)
    assert judge(seen, 10, 11, EXPECTED, frozenset({"PegelCanaryBroken"})).is_right


def test_a_ticket_beside_is_listed_and_no_error() -> None:
    verdict = judge(looks((9, set()), (12, {DOWN, TICKET})), 10, 11, EXPECTED, frozenset())

    assert [one.alarm for one in verdict.fired] == [DOWN, TICKET]
    assert verdict.is_right


def test_an_alert_that_comes_back_is_gone_only_after_the_last_time() -> None:
    seen = looks((9, set()), (12, {DOWN}), (13, set()), (14, {DOWN}), (15, set()))

    assert judge(seen, 10, 11, EXPECTED, frozenset()).fired == (Fired(DOWN, 2, 4),)


def test_an_alert_that_still_fires_at_the_end_is_not_gone() -> None:
    assert judge(looks((9, set()), (12, {DOWN})), 10, 11, EXPECTED, frozenset()).fired == (Fired(DOWN, 2, None),)


def test_an_alert_that_ends_while_the_fault_is_looked_at_is_gone_at_once() -> None:
    seen = looks((9, set()), (12, {DOWN}), (13, set()))

    assert judge(seen, 10, 20, EXPECTED, frozenset()).fired == (Fired(DOWN, 2, 0),)


def test_waiting_ends_when_every_expected_alert_fires_anew() -> None:
    both = {"PegelStageDown": "page", "PegelCanaryBroken": "page"}

    assert not are_there(Look(1, frozenset({DOWN})), frozenset(), both)
    assert are_there(Look(1, frozenset({DOWN, BROKEN})), frozenset(), both)
    assert not are_there(Look(1, frozenset({DOWN, BROKEN})), frozenset({BROKEN}), both)


def test_it_is_calm_when_no_page_fires_or_is_about_to_and_no_expected_ticket_does() -> None:
    assert not is_calm(Look(1, frozenset({BROKEN})), EXPECTED)
    assert not is_calm(Look(1, frozenset(), frozenset({BROKEN})), EXPECTED)
    assert is_calm(Look(1, frozenset({TICKET}), frozenset({TICKET})), EXPECTED)
    assert not is_calm(Look(1, frozenset({TICKET})), {"PegelWorkerDown": "ticket"})


def test_what_fires_and_what_will_are_told_apart_and_the_heartbeat_is_neither() -> None:
    def alert(name: str, state: str, severity: str, **labels: str) -> dict[str, object]:
        return {"state": state, "labels": {"alertname": name, "severity": severity, **labels}}

    told = [
        alert("PegelHeartbeat", "firing", "heartbeat"),
        alert("PegelLagGrowing", "pending", "page", stage="intake"),
        alert("PegelStageDown", "firing", "page", stage="engagement", job="pegel"),
    ]

    assert look_of(7, told) == Look(7, frozenset({DOWN}), frozenset({Alarm("PegelLagGrowing", "page", "intake")}))
