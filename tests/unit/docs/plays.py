"""The executable blocks of docs/playbooks.md: a playbook, what happens, and what is told, in the page's own format."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from schemas.action import Reason
from schemas.timestamps import format_ms, parse_ms
from streams.connectors.message import MessageKind
from streams.notify.plan.decision import LATER, Decision
from streams.notify.plan.delivery import Source
from streams.notify.plan.news import News, read
from streams.notify.plan.planner import Planner
from streams.notify.plan.roster import RosterMember
from streams.notify.plan.route import left
from streams.notify.playbooks import Playbooks, load_playbooks

KIND: Final = "example"
NOTHING: Final = "(nothing)"
MAX_AGE_H: Final = 24
_TIME: Final = r"\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?"
_HAPPENED: Final = re.compile(
    rf"(?P<at>{_TIME})  +(?P<account>\S+)  +(?P<direction>entered|exited|moved to) (?P<segment>\w+)"
    rf"(?: from (?P<left>\w+))?(?:  +(?P<facts>\{{.*\}}))?"
)
_UNTIL: Final = re.compile(rf"until ({_TIME})")
_COMMENT: Final = re.compile(r"\s+#\s.*$")
UNSAID: Final[Mapping[str, Any]] = {
    "format": 1,
    "name": "ours",
    "destinations": [{"id": "team", "type": "console"}],
    "templates": {"words": {"title": "{{ name }}"}, "again": {"title": "{{ name }}"}},
}


@dataclass(frozen=True, slots=True)
class Happened:
    at_ms: int
    value: bytes
    facts: dict[str, str]
    numbers: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """What an example says."""

    playbook: str
    happened: tuple[Happened, ...]
    until_ms: int
    expected: tuple[str, ...]


def scene_of(text: str) -> Scene:
    lines = [_COMMENT.sub("", line).rstrip() for line in text.splitlines()]
    head = list(takewhile(lambda line: not re.match(rf"{_TIME}|until ", line), lines))
    rest = [line for line in lines[len(head) :] if line]
    written = list(takewhile(lambda line: not line.startswith("until "), rest))
    until = _UNTIL.fullmatch(rest[len(written)])
    assert until is not None, rest[len(written)]
    return Scene(
        playbook=_whole("\n".join(head)),
        happened=tuple(_happened(line, place) for place, line in enumerate(written)),
        until_ms=_ms(until[1]),
        expected=tuple(" ".join(line.split()) for line in rest[len(written) + 1 :]),
    )


def _whole(said: str) -> str:
    """With what goes without saying; as text, for readers of YAML differ in what the key `on` is."""
    known = yaml.safe_load(said)
    text = f"plays:\n{said}" if isinstance(known, list) else said
    given = {"plays"} if isinstance(known, list) else set(known)
    return yaml.safe_dump({key: value for key, value in UNSAID.items() if key not in given}) + text + "\n"


def told(scene: Scene, folder: Path) -> list[str]:
    """What the plan of each destination makes of it, as the page writes it, in the order of time."""
    file = folder / "ours.yaml"
    file.write_text(scene.playbook, encoding="utf-8")
    playbooks = load_playbooks(str(file), None)
    found = [line for name in playbooks.destinations for line in _Course(playbooks, name).run(scene)]
    return [line for _, line in sorted(found, key=lambda one: one[0])] or [NOTHING]


class _Course:
    """One destination from the first thing that happened to the last moment."""

    def __init__(self, playbooks: Playbooks, name: str) -> None:
        self._playbooks = playbooks
        self._name = name
        self._plan = playbooks.plan(name, MAX_AGE_H)
        self._planner = Planner(self._plan)
        self._members: dict[str, dict[str, RosterMember]] = defaultdict(dict)
        self._lines: list[tuple[int, str]] = []

    def run(self, scene: Scene) -> list[tuple[int, str]]:
        now_ms = scene.happened[0].at_ms
        for one in scene.happened:
            self._advance(now_ms, one.at_ms)
            now_ms = one.at_ms
            news = read(one.value)
            self._move(news, one)
            if self._plan.wants(news):
                source = Source(0, len(self._lines), now_ms, None, one.value)
                self._tell(self._planner.take(news, source, one.facts, now_ms), now_ms)
        self._advance(now_ms, scene.until_ms)
        return self._lines

    def _move(self, news: News, one: Happened) -> None:
        gone = left(news)
        self._members[gone or ""].pop(news.account_id, None)
        if news.segment != gone:
            member = RosterMember(news.account_id, one.at_ms, one.numbers, one.facts, news.group)
            self._members[news.segment][news.account_id] = member

    def _advance(self, now_ms: int, until_ms: int) -> None:
        while (now_ms := max(self._planner.next_ms(), now_ms)) <= until_ms:
            self._tell(self._planner.due(now_ms), now_ms)
            for request in self._planner.wants_roster(now_ms):
                members = list(self._members[request.segment].values())
                self._tell(self._planner.give_roster(request, members, now_ms), now_ms)

    def _tell(self, decisions: list[Decision], now_ms: int) -> None:
        for one in decisions:
            if one.opens:
                self._playbooks.write(one.delivery)
            if one.reason not in LATER and one.reason is not Reason.EXPOSED:
                self._lines.append((now_ms, " ".join(_words(one, now_ms))))


def _words(one: Decision, now_ms: int) -> Iterator[str]:
    delivery = one.delivery
    yield _moment(now_ms)
    yield delivery.destination
    yield delivery.play if delivery.kind is not MessageKind.DIGEST or one.delivery.template == "words" else "digest"
    if not one.opens:
        yield from (delivery.news.account_id, f"({one.reason.value})")
        return
    yield delivery.template
    yield ", ".join(item.news.account_id for item in delivery.items) + (f" +{delivery.more}" if delivery.more else "")
    if delivery.owner is not None:
        yield f"for {delivery.owner}"


def _happened(line: str, place: int) -> Happened:
    match = _HAPPENED.fullmatch(line)
    assert match is not None, f"nothing that can happen: {line!r}"
    known = yaml.safe_load(match["facts"] or "{}")
    direction = match["direction"].removesuffix(" to")
    at_ms = _ms(match["at"])
    fields: dict[str, Any] = {
        "transition_id": f"t{place}",
        "account_id": match["account"],
        "segment": match["segment"],
        "direction": direction,
        "group": "lifecycle" if direction == "moved" else None,
        "from_segment": match["left"],
        "effective_at": format_ms(at_ms),
        "trigger": "deadline",
        "evidence": {"values": {}},
    }
    texts = {name: value for name, value in known.items() if isinstance(value, str)}
    numbers = {name: value for name, value in known.items() if not isinstance(value, str)}
    return Happened(at_ms, msgspec.json.encode(fields), texts, numbers)


def _ms(text: str) -> int:
    ms = parse_ms(f"{text}:00Z" if text.count(":") == 1 else f"{text}Z")
    assert ms is not None, text
    return ms


def _moment(at_ms: int) -> str:
    return format_ms(at_ms).removesuffix(".000Z").removesuffix(":00").replace("T", " ")
