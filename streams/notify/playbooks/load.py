"""A playbook as a whole: validated, its templates compiled and tried."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from schemas.playbook import ANY, Destination, Play, Playbook, Template
from streams.connectors.contract import ConnectorType
from streams.connectors.dialects import Dialect
from streams.connectors.message import Rendered
from streams.connectors.registry import CONNECTORS
from streams.notify.plan.delivery import Delivery
from streams.notify.plan.destination import DestinationPlan, destination_plan
from streams.notify.plan.render import TemplateProblem, Words
from streams.notify.playbooks.document import BUILT_IN, Document, Place, read_document
from streams.notify.playbooks.problems import PlaybookError, Problem, nearest
from streams.notify.playbooks.samples import samples
from streams.notify.playbooks.substitute import Substituted, mentions_variable, substituted

__all__ = ["BUILT_IN", "Playbooks", "load_playbooks"]


@dataclass(frozen=True)
class Playbooks:
    """Everything that the notifier needs to know of them. Secrets in it are `SecretStr`: nothing shows them."""

    plays: tuple[Play, ...] = ()
    destinations: Mapping[str, Destination] = field(default_factory=dict)
    words: Mapping[tuple[str, Dialect], Words] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()
    playbook: Playbook = field(default_factory=lambda: Playbook(format=1, name="none"))

    def plan(self, destination: str, max_age_h: float | None) -> DestinationPlan:
        """What the planner of a destination goes by. `max_age_h` is the setting that a play may override."""
        return destination_plan(self.playbook, self.destinations[destination], max_age_h)

    def type_of(self, destination: str) -> ConnectorType:
        return CONNECTORS[self.destinations[destination].type]

    def knows(self, delivery: Delivery) -> bool:
        """Whether a delivery that was planned earlier is still wanted, and can be made."""
        return any(
            play.id == delivery.play
            and play.enabled
            and (play.destination, play.template) == (delivery.destination, delivery.template)
            for play in self.plays
        )

    def write(self, delivery: Delivery) -> Rendered:
        """The words of a delivery; raises TemplateProblem."""
        dialect = self.type_of(delivery.destination).dialect
        return self.words[delivery.template, dialect].rendered(delivery.news, delivery.play)


def load_playbooks(
    reference: str, environ: Mapping[str, str] | None, segments: Collection[str] | None = None
) -> Playbooks:
    """Read and check; raises PlaybookError with every problem found.

    Without `environ`, values of variables are made up: such playbooks can be checked, not used. `segments` are the
    names that a play may wait for; without them any name is taken.
    """
    document = read_document(reference)
    playbook = _validated(document)
    filled = substituted(document, environ)
    problems = filled.problems
    destinations = _destinations(document, filled)
    words = _compiled(document, playbook, problems)
    for play in playbook.plays:
        _check_references(document, play, playbook, segments, problems)
    if problems:
        raise PlaybookError(problems)
    warnings = [*_warnings(document, destinations), *_tried(document, playbook, destinations, words)]
    return Playbooks(playbook.plays, destinations, words, tuple(warnings), playbook)


def _validated(document: Document) -> Playbook:
    try:
        return Playbook.model_validate(document.tree)
    except ValidationError as error:
        raise PlaybookError(_explained(document, error, (), Playbook)) from None


def _destinations(document: Document, filled: Substituted) -> dict[str, Destination]:
    result: dict[str, Destination] = {}
    problems = filled.problems
    for index, entry in enumerate(filled.destinations):
        name = str(entry.get("id", index))
        path = ("destinations", name)
        kind = CONNECTORS.get(str(entry.get("type")))
        if kind is None:
            reason = f"there is no type {entry['type']!r}" if "type" in entry else "has no type"
            problems.append(document.problem((*path, "type"), reason, nearest(str(entry.get("type")), CONNECTORS)))
            continue
        if name in filled.broken:
            continue
        try:
            found = kind.config.model_validate(entry)
        except ValidationError as error:
            problems += _explained(document, error, path, kind.config)
        else:
            result[found.id] = found
    return result


def _compiled(document: Document, playbook: Playbook, problems: list[Problem]) -> dict[tuple[str, Dialect], Words]:
    words: dict[tuple[str, Dialect], Words] = {}
    for name, template in playbook.templates.items():
        try:
            words |= {(name, dialect): Words(template, dialect) for dialect in Dialect}
        except TemplateProblem as problem:
            problems.append(_in_template(document, name, problem))
    return words


def _in_template(document: Document, name: str, problem: TemplateProblem) -> Problem:
    line = "" if problem.line is None else f"line {problem.line} of the template: "
    return document.problem(("templates", name, problem.part), line + problem.reason)


def _check_references(
    document: Document, play: Play, playbook: Playbook, segments: Collection[str] | None, problems: list[Problem]
) -> None:
    path = ("plays", play.id)
    destinations = [str(entry.get("id")) for entry in playbook.destinations if isinstance(entry, dict)]
    if play.destination not in destinations:
        reason = f"there is no destination {play.destination!r}"
        problems.append(document.problem((*path, "destination"), reason, nearest(play.destination, destinations)))
    if play.template not in playbook.templates:
        reason = f"there is no template {play.template!r}"
        problems.append(document.problem((*path, "template"), reason, nearest(play.template, playbook.templates)))
    for segment in play.segments if segments is not None else ():
        if segment != ANY and segment not in (segments or ()):
            reason = f"the catalog has no segment {segment!r}"
            fix = nearest(segment, segments or (), "see the catalog's segments")
            written = "segment" if (*path, "segment") in document.lines else "segments"
            problems.append(document.problem((*path, written), reason, fix))


def _warnings(document: Document, destinations: Mapping[str, Destination]) -> list[Problem]:
    """Secrets that stand in the file."""
    found = []
    for entry in document.tree.get("destinations", []):
        config = destinations[entry["id"]]
        for name, value in entry.items():
            secret = isinstance(getattr(config, name, None), SecretStr)
            if secret and not mentions_variable(value) and not getattr(config, "allow_http", False):
                path = ("destinations", config.id, name)
                found.append(document.problem(path, "stands in the file", f"write ${{VARIABLE}}, {name}s are secret"))
    return found


def _tried(
    document: Document,
    playbook: Playbook,
    destinations: Mapping[str, Destination],
    words: Mapping[tuple[str, Dialect], Words],
) -> list[Problem]:
    """Plays whose template fails on news that has no evidence: in earnest, a dead letter."""
    found: dict[tuple[str, str], Problem] = {}
    for play in playbook.plays:
        dialect = CONNECTORS[destinations[play.destination].type].dialect
        for news in samples(play):
            try:
                words[play.template, dialect].rendered(news, play.id)
            except TemplateProblem as problem:
                told = _in_template(document, play.template, problem)
                found[play.template, problem.part] = Problem(
                    told.file, told.line, told.place, f"fails when the evidence is empty: {told.reason}",
                    'ask values.get("..."), or whether it is defined',
                )  # fmt: skip
    return list(found.values())


def _explained(document: Document, error: ValidationError, above: Place, model: type[BaseModel]) -> list[Problem]:
    """What pydantic found, by the entries' ids; never a value."""
    problems = []
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        path = above + _path(document, detail["loc"])
        reason = detail["msg"].removeprefix("Value error, ")
        fix = ""
        if detail["type"] == "extra_forbidden":
            reason = "there is no such entry"
            fix = nearest(path[-1], _fields(model, detail["loc"]))
        elif detail["type"] == "missing":
            reason = "is missing"
        problems.append(document.problem(path, reason[:1].lower() + reason[1:], fix))
    return problems


def _path(document: Document, loc: tuple[int | str, ...]) -> Place:
    """Where pydantic says `plays 3 template`, `plays call-now template`."""
    path: list[str] = []
    node: Any = document.tree
    for part in loc:
        try:
            node = node[part]
        except (LookupError, TypeError):
            node = None
        by_id = len(path) == 1 and isinstance(node, dict) and isinstance(part, int)
        path.append(str(node.get("id", part)) if by_id and node is not None else str(part))
    return tuple(path)


def _fields(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    if len(loc) > 1 and loc[0] == "plays":
        return [*Play.model_fields, "segment", "direction"]
    if len(loc) > 1 and loc[0] == "templates":
        return list(Template.model_fields)
    return [*model.model_fields, "extends"] if model is Playbook else list(model.model_fields)
