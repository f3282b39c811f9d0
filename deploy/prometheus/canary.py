"""The canary: accounts of our own that cross a segment on schedule, end to end.

It sees what no other alert sees, because all of them read what the workers say of themselves: that an event goes in and
the right transition comes out. Broken: crossings are missed or wrong. Silent: nobody looks any more; then nothing is
known, which is the same to whoever sleeps.
"""

from collections.abc import Iterator
from typing import Final

from deploy.prometheus.pace import HOUR, MINUTE
from deploy.prometheus.rules import Alert, Dashboard, Group, Severity, Site

UNSEEN_S: Final = 10 * MINUTE
"""Ten crossings of an account, at the canary's usual interval: a rolling restart takes less."""


def groups(site: Site) -> Iterator[Group]:
    yield Group("canary", [_missed(site), _wrong(site), _silent(site)])


def _missed(site: Site) -> Alert:
    return Alert(
        "PegelCanaryBroken",
        f"time() - min(pegel_canary_last_seen_timestamp_seconds) > {site.pace.age_s(UNSEEN_S)}",
        Severity.PAGE,
        "A canary account does not get its transitions",
        "An account of the canary got its last transition {{ $value | humanizeDuration }} ago. There is one for each "
        "partition; what happens to it happens to customers' accounts.",
        Dashboard.OVERVIEW,
        labels={"outcome": "missed"},
    )


def _wrong(site: Site) -> Alert:
    window = site.pace.window(HOUR)
    return Alert(
        "PegelCanaryBroken",
        f'sum(increase(pegel_canary_crossings_total{{outcome="wrong"}}[{window}])) > 0',
        Severity.PAGE,
        "A canary account got a wrong transition",
        f"{{{{ $value | humanize }}}} crossings of the canary were wrong within {window}: another direction, a "
        "number left out, or written twice. What happens to it happens to customers' accounts.",
        Dashboard.OVERVIEW,
        labels={"outcome": "wrong"},
    )


def _silent(_: Site) -> Alert:
    return Alert(
        "PegelCanarySilent",
        "absent(pegel_canary_last_seen_timestamp_seconds)",
        Severity.PAGE,
        "The canary has stopped looking",
        "No canary is scraped: nobody tries any more whether transitions come, and no other alert would say so.",
        Dashboard.OVERVIEW,
        10 * MINUTE,
    )
