"""The notifier: do messages arrive?

What an operator has paused or drained waits on purpose: it alarms nobody as undelivered, only as forgotten.
"""

from collections.abc import Iterator
from typing import Final

from deploy.prometheus.pace import DAY, HOUR, MINUTE
from deploy.prometheus.rules import Alert, Dashboard, Group, Severity, Site
from deploy.prometheus.slos import GIVEN_UP

UNDELIVERED_S: Final = 30 * MINUTE
WAITING_MIN: Final = 5

NOT_HELD: Final = "unless on (destination) max by (destination) (pegel_held) == 1"


def groups(site: Site) -> Iterator[Group]:
    yield Group("delivery", [_undelivered(site), _breaker(site), _held(site), _letters(site)])


def _undelivered(site: Site) -> Alert:
    return Alert(
        "PegelUndelivered",
        f"max by (destination) (pegel_oldest_undelivered_seconds) > {site.pace.age_s(UNDELIVERED_S)}\n"
        f"and on (destination) sum by (destination) (pegel_open_deliveries) >= {WAITING_MIN}\n"
        f"{NOT_HELD}",
        Severity.PAGE,
        "Messages for {{ $labels.destination }} do not arrive",
        "The oldest message for {{ $labels.destination }} has waited for {{ $value | humanizeDuration }}. It is tried "
        "again until give_up_h of the playbook is over, then it becomes a dead letter.",
        Dashboard.DELIVERY,
        5 * MINUTE,
    )


def _breaker(site: Site) -> Alert:
    return Alert(
        "PegelBreakerOpen",
        f'max by (destination) (pegel_breaker{{state=~"open|probing"}}) == 1\n{NOT_HELD}',
        Severity.TICKET,
        "{{ $labels.destination }} refuses or does not answer",
        "The breaker of {{ $labels.destination }} has been open or probing for "
        f"{site.pace.hold(30 * MINUTE)}: nothing but a try now and then is sent. Other destinations go on.",
        Dashboard.DELIVERY,
        30 * MINUTE,
    )


def _held(site: Site) -> Alert:
    bridged = site.pace.window(15 * MINUTE)
    return Alert(
        "PegelDestinationHeld",
        f"max by (destination) (max_over_time(pegel_held[{bridged}])) == 1",
        Severity.TICKET,
        "{{ $labels.destination }} is still paused",
        f"An operator paused or drained {{{{ $labels.destination }}}} more than {site.pace.hold(2 * DAY)} ago. What "
        "waits for it is given up after give_up_h of the playbook.",
        Dashboard.DELIVERY,
        2 * DAY,
    )


def _letters(site: Site) -> Alert:
    window = site.pace.window(HOUR)
    return Alert(
        "PegelDeadLetters",
        f'sum by (destination, reason) (increase(pegel_deliveries_total{{reason=~"{GIVEN_UP}"}}[{window}])) > 0',
        Severity.TICKET,
        "Messages for {{ $labels.destination }} were given up",
        f"{{{{ $value | humanize }}}} messages for {{{{ $labels.destination }}}} became dead letters within {window} "
        "({{ $labels.reason }}). They are kept and can be sent again.",
        Dashboard.DELIVERY,
    )
