"""Segments: who is in them, and what moves. For those who write rules as much as for on-call."""

from collections.abc import Iterator

from deploy.grafana.board import Board, Kind, Panel, Query, Row, Unit, rate

UID = "pegel-segments"


def board() -> Board:
    return Board(
        UID,
        "Pegel: segments",
        "How many accounts are in each segment, and what enters and leaves? Where one is suddenly empty or full, look "
        "at rules, integrations and the catalog before customers.",
        (Row("Who is where?", tuple(_members())), Row("What moves?", tuple(_moves()))),
    )


def _members() -> Iterator[Panel]:
    yield Panel(
        "How many accounts are in each segment?",
        "Now. The canary's accounts are among them, one for each partition.",
        Unit.COUNT,
        (Query("sort_desc(sum by (segment) (pegel_members))", "{{segment}}"),),
        Kind.BARS,
        width=12,
    )
    yield Panel(
        "How has that changed within a day?",
        "Members now less members a day ago; empty until a day was seen.",
        Unit.COUNT,
        (
            Query(
                "sort_desc(sum by (segment) (pegel_members) - sum by (segment) (pegel_members offset 1d))",
                "{{segment}}",
                rare=True,
            ),
        ),
        Kind.BARS,
        width=12,
    )
    yield Panel(
        "How do the segments develop?",
        "A step in many lines at once is another catalog or an import.",
        Unit.COUNT,
        (Query("sum by (segment) (pegel_members)", "{{segment}}"),),
        width=16,
    )
    yield Panel(
        "Which rules decide?",
        "The catalog in force.",
        Unit.TIMES,
        (Query("max by (name, version) (pegel_catalog_info)", "{{name}} {{version}}"),),
        Kind.NUMBER,
        named=True,
    )


def _moves() -> Iterator[Panel]:
    yield Panel(
        "Which segments are entered?",
        "Entries and moves within a group, a second; the canary's are among them.",
        Unit.PER_SECOND,
        (Query(rate("pegel_transitions_total", "segment", 'direction=~"entered|moved"') + " > 0", "{{segment}}"),),
        width=12,
        stacked=True,
    )
    yield Panel(
        "Which segments are left?",
        "Exits, a second, the canary's among them; of a move it is not said what was left.",
        Unit.PER_SECOND,
        (Query(rate("pegel_transitions_total", "segment", 'direction="exited"') + " > 0", "{{segment}}", rare=True),),
        width=12,
        stacked=True,
    )
    yield Panel(
        "What moved most in the last hour?",
        "Transitions of the ten segments that have most.",
        Unit.COUNT,
        (Query("sort_desc(topk(10, sum by (segment) (increase(pegel_transitions_total[1h])) > 0))", "{{segment}}"),),
        Kind.BARS,
        width=12,
    )
    yield Panel(
        "How much is told to nobody?",
        "Transitions that a play names, once for each destination, and those that none names.",
        Unit.PER_SECOND,
        (Query(rate("pegel_routed_total"), "told"), Query(rate("pegel_unheard_total"), "told to nobody")),
        width=12,
    )
