"""The dead man's switch: an alert that always fires, so that somebody outside notices when it stops."""

from collections.abc import Iterator

from deploy.prometheus.rules import Alert, Dashboard, Group, Severity, Site


def groups(_: Site) -> Iterator[Group]:
    alert = Alert(
        "PegelHeartbeat",
        "vector(1)",
        Severity.HEARTBEAT,
        "Alerting works",
        "Always fires. The receiver of severity `heartbeat` must be a service that tells somebody when this stops "
        "coming: then Prometheus, Alertmanager or the way between them is broken, and no other alert can come.",
        Dashboard.OVERVIEW,
    )
    yield Group("heartbeat", [alert])
