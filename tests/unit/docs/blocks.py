"""The executable blocks of a page: fenced, of four kinds, in the format that the page itself explains.

example   segments or a catalog, events, `until TIME`, and the transitions that follow
values    the same, but after `until` one `expression => value` a line
refused   a rule or a whole file, an empty line, and all that is said against it
warned    a whole file, an empty line, and what the check warns of
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from schemas.timestamps import format_ms, parse_ms
from schemas.wire_event import WireEvent
from streams.catalogs import load_program
from streams.engine.found import Transition
from streams.engine.program import Program
from streams.engine.rules.expression import Kind
from streams.replay.lines import Line
from streams.replay.run import Replay
from tests.laws.side_by_side import by_model

KINDS: Final = ("example", "values", "refused", "warned")
CALLS: Final = ("page", "screen", "group", "identify")  # any other word on an event's line is a track call's event
NO_TRANSITIONS: Final = "(none)"

_TIME: Final = r"\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?"
_EVENT: Final = re.compile(
    rf"(?P<at>{_TIME})  +(?P<account>\S+)  +(?P<event>\S+)(?:  +by (?P<user>\S+))?"
    rf"(?:  +(?P<properties>\{{.*\}}))?(?:  +arrives (?P<arrival>{_TIME}))?"
)
_UNTIL: Final = re.compile(rf"until ({_TIME})")
_COMMENT: Final = re.compile(r"\s+#\s.*$")
_UNSAID: Final = ":00.000Z"
_UNSAID_ENTRIES: Final = {"format": 1, "name": "ours"}


@dataclass(frozen=True, slots=True)
class Block:
    kind: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.kind}-line-{self.line}"


@dataclass(frozen=True, slots=True)
class Scene:
    """What an example or a block of values says: the catalog, the events, the moment, and what is to come out."""

    catalog: Mapping[str, Any]
    events: tuple[dict[str, Any], ...]
    until_ms: int
    expected: tuple[str, ...]


def blocks_of(page: str) -> Iterator[Block]:
    """The executable blocks, in the order of the page."""
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        if match[1] in KINDS:
            yield Block(match[1], page.count("\n", 0, match.start()) + 1, match[2])


def prose_of(page: str) -> str:
    """The page without any fenced block."""
    return re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)


def parts_of(block: Block) -> tuple[str, str]:
    """What stands before the last empty line of a refused or warned block, and after it."""
    text, _, messages = block.text.rstrip("\n").rpartition("\n\n")
    return text, messages


def scene_of(block: Block) -> Scene:
    lines = [_COMMENT.sub("", line).rstrip() for line in block.text.splitlines()]
    head = list(takewhile(lambda line: not re.match(rf"{_TIME}|until ", line), lines))
    rest = [line for line in lines[len(head) :] if line]
    written = list(takewhile(lambda line: not line.startswith("until "), rest))
    until = _UNTIL.fullmatch(rest[len(written)])
    assert until is not None, rest[len(written)]
    catalog = yaml.safe_load("\n".join(head)) or {}
    return Scene(
        catalog={"segments": catalog} if isinstance(catalog, list) else catalog,
        events=tuple(_event(line, place) for place, line in enumerate(written)),
        until_ms=_ms(until[1]),
        expected=tuple(" ".join(line.split()) for line in rest[len(written) + 1 :]),
    )


def transitions_of(scene: Scene, folder: Path) -> list[str]:
    """As the page writes them; what comes out of a real replay."""
    found = _Run(_program(scene.catalog, folder), scene).transitions()
    lines = [_line(one.account_id, one.segment, one.direction, one.from_segment, one.effective_at) for one in found]
    return lines or [NO_TRANSITIONS]


def transitions_by_model(scene: Scene) -> list[str]:
    """The same by the independent model, which is given looks at the population instead of taking them."""
    log = [msgspec.json.encode(event).decode() for event in scene.events]
    lines = [
        _line(one["account_id"], one["segment"], one["direction"], one["from_segment"], parse_ms(one["effective_at"]))
        for one in by_model(log, {**_UNSAID_ENTRIES, **scene.catalog}, scene.until_ms)
    ]
    return lines or [NO_TRANSITIONS]


def values_of(scene: Scene, folder: Path) -> list[str]:
    """Each expression with its value for the events' account, as of `until`."""
    written = [expected.split(" => ")[0] for expected in scene.expected]
    catalog = {"segments": [], **scene.catalog}
    catalog["definitions"] = {**catalog.get("definitions", {}), **{f"v{n}": text for n, text in enumerate(written)}}
    program = _program(catalog, folder)
    replay = _Run(program, scene)
    replay.transitions()
    (partition,) = replay.partitions
    (account_id,) = {event["context"]["groupId"] for event in scene.events}
    found = partition.account(account_id)
    assert found is not None
    account, working = found
    working.roll(program.calendar.day_of(scene.until_ms))
    values = program.definitions(account, working, scene.until_ms, working.members)
    kinds = [program.definition_nodes[f"v{n}"].kind for n in range(len(written))]
    return [f"{text} => {_value(values[f'v{n}'], kinds[n])}" for n, text in enumerate(written)]


class _Run(Replay):
    """A replay of a scene's events."""

    def __init__(self, program: Program, scene: Scene) -> None:
        super().__init__(program, _account, scene.until_ms)
        self._events = scene.events

    def transitions(self) -> list[Transition]:
        for number, event in enumerate(self._events, start=1):
            self.feed(Line("example", number, msgspec.json.encode(event)))
        return self.finish()


def _account(event: WireEvent) -> str:
    return str(event.context["groupId"])


def _program(catalog: Mapping[str, Any], folder: Path) -> Program:
    """Read as a file, the way of every catalog; `format` and `name` go without saying in examples."""
    file = folder / "ours.yaml"
    file.write_text(yaml.safe_dump({**_UNSAID_ENTRIES, **catalog}, sort_keys=False), encoding="utf-8")
    return load_program(str(file))


def _event(line: str, place: int) -> dict[str, Any]:
    match = _EVENT.fullmatch(line)
    assert match is not None, f"no event: {line!r}"
    event, at = match["event"], format_ms(_ms(match["at"]))
    content = yaml.safe_load(match["properties"] or "{}")
    return {
        "type": event if event in CALLS else "track",
        "messageId": f"m{place}",
        "userId": match["user"] or "ann",
        "timestamp": at,
        "receivedAt": at if match["arrival"] is None else format_ms(_ms(match["arrival"])),
        "context": {"groupId": match["account"]},
        **({} if event in CALLS else {"event": event}),
        "traits" if event in ("group", "identify") else "properties": content,
    }


def _ms(text: str) -> int:
    ms = parse_ms(f"{text}:00Z" if text.count(":") == 1 else f"{text}Z")
    assert ms is not None, text
    return ms


def _moment(text: str) -> str:
    """An RFC 3339 time as the page writes it: without seconds where there are none."""
    return text.removesuffix(_UNSAID).removesuffix("Z").replace("T", " ")


def _line(account_id: str, segment: str, direction: str, from_segment: str | None, at_ms: int | None) -> str:
    assert at_ms is not None
    came_from = f" from {from_segment}" if from_segment else ""
    return f"{_moment(format_ms(at_ms))} {account_id} {segment} {direction}{came_from}"


def _value(value: Any, kind: Kind) -> str:
    if value is None:
        return "unknown"
    if kind is Kind.TIME:
        return _moment(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return msgspec.json.encode(value).decode() if not isinstance(value, float) else f"{value:.10g}"
