"""Spans of one trace as a tree, whoever exported them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Tree = dict[str, Any]
CLOCK_NS = 1_000_000
"""Couriers read their clock in milliseconds."""


@dataclass(frozen=True)
class Seen:
    """A span at a collector."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    kind: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    failed: bool
    service: str
    links: tuple[str, ...] = ()


def tree_of(spans: Iterable[Seen]) -> list[Tree]:
    """Names, nested: `{name: [children]}`, in order of name; roots are spans whose parent nobody exported."""
    found = {one.span_id: one for one in spans}
    children: dict[str | None, list[Seen]] = defaultdict(list)
    for one in found.values():
        children[one.parent_id if one.parent_id in found else None].append(one)

    def below(parent: str | None) -> list[Tree]:
        return [{one.name: below(one.span_id)} for one in sorted(children[parent], key=lambda one: one.name)]

    return below(None)


def require_sound(spans: Iterable[Seen]) -> None:
    """One trace; nothing begins before what it comes from, nor ends before it begins; no id is there twice."""
    seen = list(spans)
    by_id = {one.span_id: one for one in seen}
    assert len(by_id) == len(seen)
    assert len({one.trace_id for one in seen}) == 1
    for one in seen:
        assert one.start_ns <= one.end_ns, one
        if one.parent_id in by_id:
            assert by_id[one.parent_id].start_ns <= one.start_ns + CLOCK_NS, one
