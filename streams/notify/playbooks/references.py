"""Names that stand in a playbook and must be somewhere: destinations, templates, goals, the catalog's segments."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.goal import parse_goal
from schemas.playbook import ANY, Play, Playbook
from streams.notify.playbooks.document import Document, Place
from streams.notify.playbooks.problems import Problem, nearest


@dataclass(frozen=True, slots=True)
class Names:
    """What there is to name. None: any name is taken."""

    templates: Collection[str]
    goals: Mapping[str, str]
    segments: Collection[str] | None
    definitions: Collection[str] | None


def destination_problems(document: Document, entry: Any, names: Names) -> Iterator[Problem]:
    """Of a destination, as it is written."""
    if not isinstance(entry, Mapping):
        return
    group = entry.get("group")
    path = ("destinations", str(entry.get("id")))
    wanted: dict[Place, Any] = {("summary_template",): entry.get("summary_template")}
    if isinstance(group, Mapping):
        wanted["group", "template"] = group.get("template")
    for place, name in wanted.items():
        if isinstance(name, str):
            yield from _missing(document, (*path, *place), "there is no template", name, names.templates)


def play_problems(document: Document, play: Play, playbook: Playbook, names: Names) -> Iterator[Problem]:
    path = ("plays", play.id)
    destinations = [str(entry.get("id")) for entry in playbook.destinations if isinstance(entry, Mapping)]
    yield from _missing(document, (*path, "destination"), "there is no destination", play.destination, destinations)
    yield from _missing(document, (*path, "template"), "there is no template", play.template, names.templates)
    for index, step in enumerate(play.steps):
        here = (*path, "steps", str(index), "template")
        yield from _missing(document, here, "there is no template", step.template, names.templates)
    for place, goal in _goals(play):
        yield from _missing(document, (*path, *place), "there is no goal", goal, names.goals)
    for place, segment in _segments(document, play, names.goals):
        if names.segments is not None and segment != ANY:
            yield from _missing(document, (*path, *place), "the catalog has no segment", segment, names.segments)
    if play.roster is not None and play.roster.sort is not None and names.definitions is not None:
        yield from _missing(
            document, (*path, "list", "sort"), "the catalog has no definition", play.roster.sort, names.definitions,
            "see the key numbers of a membership",
        )  # fmt: skip


def _goals(play: Play) -> Iterator[tuple[Place, str]]:
    if play.goal is not None and play.goal.reaches is not None:
        yield ("goal", "reaches"), play.goal.reaches
    if play.stop_on is not None and isinstance(play.stop_on.goal, str):
        yield ("stop_on", "goal"), play.stop_on.goal


def _segments(document: Document, play: Play, goals: Mapping[str, str]) -> Iterator[tuple[Place, str]]:
    """Every segment that the play names, and where."""
    written = "segment" if ("plays", play.id, "segment") in document.lines else "segments"
    yield from (((written,), name) for name in play.segments)
    yield from ((("inhibited_by",), name) for name in play.inhibited_by)
    if play.roster is not None:
        yield ("list", "segment"), play.roster.segment
    for index, step in enumerate(play.steps):
        if isinstance(step.holds, str):
            yield ("steps", str(index), "while"), step.holds
    if play.stop_on is not None:
        yield from ((("stop_on", "enters"), name) for name in play.stop_on.enters)
    if play.goal is not None:
        named = (("enters", play.goal.enters), ("exits", play.goal.exits))
        yield from ((("goal", word), name) for word, name in named if name is not None)
    for place, goal in _goals(play):
        yield from ((place, segment) for _, segment in (parse_goal(goals[goal]) if goal in goals else ()))


def _missing(
    document: Document, path: Place, what: str, name: str, known: Collection[str], otherwise: str = ""
) -> Iterator[Problem]:
    if name not in known:
        yield document.problem(path, f"{what} {name!r}", nearest(name, known, otherwise))
