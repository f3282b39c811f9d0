"""What an HTTP status means where a provider's own table does not say otherwise."""

from typing import Final

from streams.connectors.outcome import OutcomeKind

STATUSES: Final[dict[int, OutcomeKind]] = {
    401: OutcomeKind.AUTH,
    403: OutcomeKind.AUTH,
    404: OutcomeKind.GONE,
    408: OutcomeKind.RETRY_DESTINATION,
    409: OutcomeKind.RETRY_RECORD,
    410: OutcomeKind.GONE,
    421: OutcomeKind.RETRY_DESTINATION,
    423: OutcomeKind.RETRY_RECORD,
    425: OutcomeKind.RETRY_RECORD,
    429: OutcomeKind.THROTTLED,
}

CLASSES: Final[dict[int, OutcomeKind]] = {
    1: OutcomeKind.RETRY_DESTINATION,
    2: OutcomeKind.OK,
    3: OutcomeKind.RETRY_DESTINATION,  # redirects are not followed: somebody must correct the URL
    4: OutcomeKind.REJECTED,
    5: OutcomeKind.RETRY_DESTINATION,
}


def kind_of(status: int) -> OutcomeKind:
    """The outcome of a status; what is no HTTP status is the destination's fault."""
    return STATUSES.get(status) or CLASSES.get(status // 100, OutcomeKind.RETRY_DESTINATION)
