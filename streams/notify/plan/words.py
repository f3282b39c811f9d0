"""The filters of templates: values in words that people read.

Filters that make markup (`bold`, `code`, `link`) write it in the destination's dialect and mark their result, so that
the renderer does not escape it again; everything else a template prints is escaped.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from jinja2 import pass_context
from jinja2.runtime import Context

from schemas.timestamps import parse_ms
from streams.connectors.dialects import Dialect, escape

FACTS_MAX: Final = 6
FACT_CHARS_MAX: Final = 120
LINK_CHARS_MAX: Final = 2_000
UNITS: Final = ((86_400, "days"), (3_600, "hours"), (60, "minutes"))
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
TRACK: Final = "__track__"
"""What `tracked` goes by, among the names of a rendering; no template can name it."""
Track = Callable[[str], str]
SAFE_URL: Final = re.compile(r"^(https?://|mailto:)[^\s<>|\"']+$")


class Marked:
    """Markup that is ready. No text itself, so that nothing can be added to it unescaped."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


@dataclass(frozen=True, slots=True)
class Fact:
    """One value that a rule saw."""

    name: str
    value: str


def filters(dialect: Dialect) -> dict[str, Callable[..., Any]]:
    """All filters that a template may use."""
    return {
        "bold": lambda value: bold(value, dialect),
        "code": lambda value: code(value, dialect),
        "link": lambda url, label: link(url, label, dialect),
        "tracked": tracked,
        "day": day,
        "time": moment,
        "duration": duration,
        "number": number,
        "percent": percent,
        "label": label,
        "facts": facts,
        "why": why,
    }


def bold(value: Any, dialect: Dialect) -> Marked:
    text = escape(str(value), dialect)
    return Marked(f"*{text.replace('*', '∗')}*" if dialect is Dialect.SLACK and text.strip() else text)  # noqa: RUF001


def code(value: Any, dialect: Dialect) -> Marked:
    text = escape(str(value), dialect)
    return Marked(f"`{text.replace('`', chr(39))}`" if dialect is Dialect.SLACK and text.strip() else text)


def link(url: Any, text: Any, dialect: Dialect) -> Marked:
    """A link with a label; what is no web or mail address stays plain text."""
    target, shown = str(url), str(text)
    if not SAFE_URL.match(target) or len(target) > LINK_CHARS_MAX:
        return Marked(escape(shown, dialect))
    if dialect is Dialect.SLACK:
        return Marked(f"<{escape(target, dialect)}|{escape(shown, dialect).replace('|', '¦')}>")
    return Marked(f"{shown} ({target})")


@pass_context
def tracked(context: Context, url: Any) -> str:
    """The address as one whose visits are known of, where links are set up; else as it is."""
    track = context.get(TRACK)
    return str(url) if track is None else str(track(str(url)))


def day(value: Any) -> str:
    """`1 Mar 2026` of an RFC 3339 time; what is none is shown as it is."""
    when = _read(value)
    return _as_is(value) if when is None else f"{when.day} {MONTHS[when.month - 1]} {when.year}"


def moment(value: Any) -> str:
    """`1 Mar 2026, 10:00 UTC`."""
    when = _read(value)
    return _as_is(value) if when is None else f"{day(value)}, {when:%H:%M} UTC"


def duration(seconds: Any) -> str:
    """`3 days`, `36 hours`: rounded, in the largest unit of which there are two."""
    if not isinstance(seconds, int | float):
        return _as_is(seconds)
    for length, units in UNITS:
        count = round(abs(seconds) / length)
        if count >= 2:
            return f"{count} {units}"
    return "a minute"


def number(value: Any) -> str:
    """At most two digits after the point, and none that say nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _as_is(value)
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"


def percent(value: Any) -> str:
    """`40 %` of 0.4."""
    return f"{number(round(value * 100, 1))} %" if isinstance(value, int | float) else _as_is(value)


def label(value: Any) -> str:
    """`Highly engaged trial` of `highly_engaged_trial`."""
    text = _as_is(value).replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def facts(evidence: Any) -> list[Fact]:
    """The first few values that the conditions saw, each as name and text; none if there are none."""
    values = evidence.get("values", evidence) if isinstance(evidence, Mapping) else None
    if not isinstance(values, Mapping):
        return []
    return [Fact(str(name)[:FACT_CHARS_MAX], _shown(value)) for name, value in list(values.items())[:FACTS_MAX]]


def why(evidence: Any) -> str:
    """The facts in one line, `score(days=3) 24, stage trial`; empty if there are none."""
    return ", ".join(f"{fact.name} {fact.value}" for fact in facts(evidence))


def _shown(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value)[:FACT_CHARS_MAX]


def _as_is(value: Any) -> str:
    return "" if value is None else str(value)


def _read(value: Any) -> datetime | None:
    ms = parse_ms(value) if isinstance(value, str) else None
    return None if ms is None else datetime.fromtimestamp(ms / 1_000, UTC)
