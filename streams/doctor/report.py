"""What the checks came to, as lines: for people a table, for machines JSON with stable keys."""

import json
import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

from streams.doctor.checks import Checked, Level, levels

WIDTH_MIN: Final = 60


def as_json(checked: Iterable[Checked]) -> Iterator[str]:
    for one in checked:
        finding = one.finding
        row = {"check": one.name, "level": finding.level.value, "reason": finding.reason, "fix": finding.fix}
        yield json.dumps(row, ensure_ascii=False)


def as_table(checked: Iterable[Checked], width: int) -> Iterator[str]:
    """A line a check, wrapped; below it what to do, where something is."""
    listed = list(checked)
    name_width = max(len(one.name) for one in listed)
    for one in listed:
        head = f"{one.finding.level.value:<4}  {one.name:<{name_width}}  "
        yield from _wrapped(head, one.finding.reason, width)
        if one.finding.fix:
            yield from _wrapped(" " * len(head) + "-> ", one.finding.fix, width)


def summary(checked: Iterable[Checked]) -> str:
    found = levels(checked)
    return f"{found[Level.OK]} ok, {found[Level.WARN]} warnings, {found[Level.FAIL]} failures"


def _wrapped(head: str, text: str, width: int) -> list[str]:
    room = max(WIDTH_MIN, width)
    return textwrap.wrap(
        text, room, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False,
        break_long_words=False,
    )  # fmt: skip
