"""The notifier, destination by destination: is it them, or us, or is it meant to be so?"""

from collections.abc import Iterator

from deploy.grafana.board import Board, Kind, Limits, Panel, Query, Row, Unit, rate
from deploy.prometheus.delivery import UNDELIVERED_S
from deploy.prometheus.rules import Dashboard
from deploy.prometheus.slos import GIVEN_UP

BY_DESTINATION = "{{destination}}"


def board() -> Board:
    return Board(
        Dashboard.DELIVERY.value,
        "Pegel: deliveries",
        "Does each destination take what it is given, and if not: is it them, is it us, or is it meant to be so?",
        (
            Row("Do people get their messages?", tuple(_arrival())),
            Row("If not, why?", tuple(_reasons())),
            Row("What waits on purpose?", tuple(_plans())),
            Row("What comes back?", tuple(_links())),
        ),
    )


def _arrival() -> Iterator[Panel]:
    yield Panel(
        "How long has the oldest message waited?",
        "It shows a destination that fails, and one that says nothing.",
        Unit.SECONDS,
        (Query("max by (destination) (pegel_oldest_undelivered_seconds)", BY_DESTINATION),),
        limits=Limits(UNDELIVERED_S, UNDELIVERED_S / 6),
    )
    yield Panel(
        "How much is delivered?",
        "Messages a second that a destination took.",
        Unit.PER_SECOND,
        (Query(rate("pegel_deliveries_total", "destination", 'reason="delivered"'), BY_DESTINATION),),
    )
    yield Panel(
        "What is lost to dead letters?",
        "Messages given up; `pegel dlq retry` sends them again.",
        Unit.PER_SECOND,
        (
            Query(
                rate("pegel_deliveries_total", "destination, reason", f'reason=~"{GIVEN_UP}"') + " > 0",
                "{{destination}} {{reason}}",
                rare=True,
            ),
        ),
    )


def _reasons() -> Iterator[Panel]:
    yield Panel(
        "Is a destination left alone?",
        "1 while its breaker is open or probing, because too many attempts failed in a row.",
        Unit.TIMES,
        (Query('max by (destination, state) (pegel_breaker{state=~"open|probing"})', "{{destination}} {{state}}"),),
        limits=Limits(1),
        width=6,
    )
    yield Panel(
        "Is it us who hold it back?",
        "1 where an operator has paused or drained the destination; `pegel destination list` says who and why.",
        Unit.TIMES,
        (Query("max by (destination) (pegel_held)", BY_DESTINATION),),
        Kind.NUMBER,
        Limits(1),
        6,
        words=((0, "open"), (1, "held")),
    )
    yield Panel(
        "How many accounts wait on errors?",
        "Accounts whose next message waits for another attempt.",
        Unit.COUNT,
        (Query("sum by (destination) (pegel_parked_lanes)", BY_DESTINATION),),
        width=6,
    )
    yield Panel(
        "Do providers slow us down?",
        "Share of the time for which a destination asked us to wait.",
        Unit.RATIO,
        (Query(rate("pegel_throttled_seconds_total", "destination"), BY_DESTINATION),),
        width=6,
    )
    yield Panel(
        "What is decided, and what becomes of attempts?",
        "Every decision and attempt by its reason; docs/playbooks.md and docs/connectors.md say what they mean.",
        Unit.PER_SECOND,
        (Query(rate("pegel_deliveries_total", "reason") + " > 0", "{{reason}}", rare=True),),
        width=16,
        stacked=True,
    )
    yield Panel(
        "What did operators say?",
        "Commands that were carried out in the last hour.",
        Unit.COUNT,
        (Query("sum by (command) (increase(pegel_commands_total[1h])) > 0", "{{command}}", rare=True),),
        Kind.BARS,
    )


def _plans() -> Iterator[Panel]:
    yield Panel(
        "How much is on its way?",
        "Deliveries that are neither done nor given up.",
        Unit.COUNT,
        (Query("sum by (destination) (pegel_open_deliveries)", BY_DESTINATION),),
    )
    yield Panel(
        "What waits for its time?",
        "Messages that wait for a group, a quiet hour, a step or a budget.",
        Unit.COUNT,
        (Query("sum by (destination) (pegel_planned_messages)", BY_DESTINATION),),
    )
    yield Panel(
        "How much of the day's budget is used up?",
        "Messages that count against it.",
        Unit.COUNT,
        (Query("sum by (destination) (pegel_budget_spent_messages)", BY_DESTINATION),),
    )


def _links() -> Iterator[Panel]:
    yield Panel(
        "Are links followed, and does anybody forge them?",
        "Of `pegel link serve`, if it is in use.",
        Unit.PER_SECOND,
        (Query(rate("pegel_link_requests_total", "outcome"), "{{outcome}}", rare=True),),
        width=12,
    )
    yield Panel(
        "Are clicks lost on their way to Kafka?",
        "Events written and lost.",
        Unit.PER_SECOND,
        (Query(rate("pegel_link_events_total", "outcome"), "{{outcome}}", rare=True),),
        width=12,
    )
