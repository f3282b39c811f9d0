"""Which segments and groups a destination is told of: what its fields are made for."""

from collections.abc import Iterable

from schemas.catalog import Catalog
from schemas.playbook import ANY, Play


def segments_needed(plays: Iterable[Play], catalog: Catalog, destination: str) -> tuple[list[str], list[str]]:
    """Segments outside groups, and groups, in the catalog's order."""
    chosen = [play for play in plays if play.destination == destination and play.enabled]
    segments: dict[str, None] = {}
    groups: dict[str, None] = {}
    for segment in catalog.segments:
        if not segment.enabled or not any(_tells(play, segment.id, segment.group) for play in chosen):
            continue
        if segment.group is None:
            segments[segment.id] = None
        else:
            groups[segment.group] = None
    return list(segments), list(groups)


def _tells(play: Play, segment: str, group: str | None) -> bool:
    if play.group is not None and play.group != group:
        return False
    return ANY in play.segments or segment in play.segments
