"""A catalog for reading: what stands in it after all that it extends has been merged in."""

import textwrap
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import yaml

from schemas.catalog import Catalog, Segment
from streams.engine.program import version_of

WIDTH: Final = 110
_INDENT: Final = "    "


def described(catalog: Catalog, chain: tuple[str, ...]) -> str:
    """For people: first what rules are made of, then the segments in the order in which they are decided."""
    lines = [f"{catalog.name}, version {version_of(catalog)}"]
    if len(chain) > 1:
        lines.append(f"{chain[0]} extends {', which extends '.join(chain[1:])}")
    lines += ["", *_entries(catalog)]
    group = None
    for segment in catalog.segments:
        if segment.group is not None and segment.group != group:
            lines += ["", f"group {segment.group}: the first of its segments that holds"]
        group = segment.group
        lines += ["", *_segment(segment)]
    return "\n".join(lines) + "\n"


def resolved_yaml(catalog: Catalog) -> str:
    """The complete document, which has the same version and extends nothing."""
    document = as_plain(catalog)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=WIDTH)


def as_plain(catalog: Catalog) -> dict[str, Any]:
    """As JSON and YAML have it; of segments only what is not as usual."""
    document = catalog.model_dump(mode="json", exclude={"segments", "weights"})
    document["weights"] = {name: number(weight) for name, weight in catalog.weights.items()}
    document["segments"] = [
        {"id": segment.id, **segment.model_dump(mode="json", exclude_defaults=True)} for segment in catalog.segments
    ]
    order = [name for name in Catalog.model_fields if name in document]
    return {name: document[name] for name in order}


def number(weight: Decimal) -> int | float:
    """At most three places: a float says them exactly as they were written."""
    return int(weight) if weight == weight.to_integral_value() else float(weight)


def _entries(catalog: Catalog) -> Iterator[str]:
    yield from _named("trial", f"{catalog.trial_days:g} days")
    yield from _named("timezone", catalog.timezone)
    weights = [f"{name} {number(weight)}" for name, weight in catalog.weights.items()]
    yield from _named("weights", ", ".join([*weights, "all others 1"]))
    yield from _named("core features", ", ".join(catalog.core_features) or "none")
    yield from _named("signals", ", ".join(catalog.signals) or "none")
    steps = [f"{step.event} >= {step.count}" for step in catalog.checklist]
    yield from _named("checklist", ", ".join(steps) or "none")
    yield from _named("value event", catalog.value_event or "none")
    yield from _named("team", f"properties.{catalog.team_property}")
    yield from _named("account facts", ", ".join(catalog.account_facts) or "none")
    events = {name: f"{event.event} where {event.where}" for name, event in catalog.events.items()}
    yield from _listed("named events", events)
    measures = {
        name: f"{one.aggregate.value} of {one.property} of {one.event}" for name, one in catalog.measures.items()
    }
    yield from _listed("measures", measures)
    yield from _listed("definitions", catalog.definitions)


def _named(name: str, text: str, indent: str = "") -> Iterator[str]:
    head = f"{indent}{name:<14} "
    yield from textwrap.wrap(
        " ".join(text.split()), WIDTH, initial_indent=head, subsequent_indent=" " * len(head),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _listed(name: str, entries: Mapping[str, str]) -> Iterator[str]:
    if entries:
        yield name
        for key, text in entries.items():
            yield from _named(key, f"= {text}", _INDENT)


def _segment(segment: Segment) -> Iterator[str]:
    title = f" ({segment.name})" if segment.name else ""
    yield f"{segment.id}{title}{'' if segment.enabled else ' - disabled'}"
    if segment.description:
        yield from textwrap.wrap(segment.description, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
    yield from _named("when", segment.when, _INDENT)
    if segment.exit_when is not None:
        yield from _named("exit when", segment.exit_when, _INDENT)
    waits = []
    if segment.min_dwell_days:
        waits.append(f"stays at least {_days(segment.min_dwell_days)}")
    if segment.cooldown_days:
        waits.append(f"enters again after {_days(segment.cooldown_days)} at the earliest")
    if waits:
        yield from _named("waits", "; ".join(waits), _INDENT)
    if segment.group is not None:
        yield from _named("group", segment.group, _INDENT)
    if segment.owner:
        yield from _named("owner", segment.owner, _INDENT)


def _days(days: float) -> str:
    return f"{days:g} {'day' if days == 1 else 'days'}"
