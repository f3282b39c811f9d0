"""Whether a piece of news is still news.

Three floods must never reach people: history that is computed now (a backfill, a notifier that starts on an old topic,
a long outage), what a new version of the catalog changes at a stroke, and what a rebuilt state corrects. All are
recorded as suppressed, with the reason.
"""

from schemas.action import Reason
from schemas.playbook import Play
from streams.notify.plan.news import News

HOUR_MS = 3_600_000


def freshness(news: News, play: Play, now_ms: int, max_age_h: float | None, at_ms: int | None = None) -> Reason:
    """PLANNED, or why it is not told.

    `max_age_h` is the setting that a play may override; `at_ms` when it became news, if not with the transition.
    """
    if news.from_rebuild:
        return Reason.REBUILD
    if news.from_catalog and not play.announce_catalog_changes:
        return Reason.CATALOG_CHANGE
    limit_h = max_age_h if play.max_age_h is None else play.max_age_h
    happened_ms = news.effective_at_ms if at_ms is None else at_ms
    if limit_h is not None and now_ms - happened_ms > limit_h * HOUR_MS:
        return Reason.STALE
    return Reason.PLANNED
