"""The tables of `docs/logs-and-traces.md`, made from `log_events`: `python -m streams.log_page` writes them anew."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from streams.log_events import EVENTS, FIELDS, LogEvent

PAGE: Final = Path(__file__).parents[1] / "docs" / "logs-and-traces.md"
BEGIN: Final = "<!-- {}: made by `python -m streams.log_page`; a test holds it current. -->\n"
END: Final = "<!-- end -->\n"


def fields_of(event: LogEvent) -> tuple[str, ...]:
    """Those that its text shows, in order, and the others."""
    shown = dict.fromkeys(re.findall(r"%\((\w+)\)", event.text))
    return (*shown, *event.more)


def events_table() -> Iterator[str]:
    yield "| event | level | fields | what it means |"
    yield "|---|---|---|---|"
    for event in EVENTS.values():
        level = logging.getLevelName(event.level).lower()
        fields = ", ".join(f"`{name}`" for name in fields_of(event))
        pause = f" One in {event.pause_s:.0f} s{_apart(event)}." if event.pause_s else ""
        yield f"| `{event.name}` | {level} | {fields} | {event.meaning}{pause} |"


def fields_table() -> Iterator[str]:
    yield "| field | holds |"
    yield "|---|---|"
    yield from (f"| `{name}` | {meaning} |" for name, meaning in FIELDS.items())


def _apart(event: LogEvent) -> str:
    return f" for each {' and '.join(f'`{name}`' for name in event.per)}" if event.per else ""


def with_tables(page: str) -> str:
    """The page with its tables as they must be."""
    for name, table in (("events", events_table()), ("fields", fields_table())):
        before, begin, rest = page.partition(BEGIN.format(name))
        _, end, after = rest.partition(END)
        assert begin
        assert end
        page = before + begin + "\n".join(table) + "\n" + end + after
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
