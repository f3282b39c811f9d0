"""A playbook as a whole: validated, its templates compiled and tried."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from pydantic import SecretStr, ValidationError

from schemas.playbook import Destination, Play, Playbook, Template
from streams.connectors.contract import ConnectorType
from streams.connectors.dialects import Dialect
from streams.connectors.extensions import ConnectorError
from streams.connectors.message import MessageKind, Rendered
from streams.connectors.registry import CONNECTORS
from streams.notify.plan.delivery import Delivery
from streams.notify.plan.destination import STANDARD_DIGEST, STANDARD_SUMMARY, DestinationPlan, destination_plan
from streams.notify.plan.render import TemplateProblem, Words
from streams.notify.playbooks.document import BUILT_IN, Document, read_document
from streams.notify.playbooks.explain import explained
from streams.notify.playbooks.problems import PlaybookError, Problem, nearest
from streams.notify.playbooks.references import Names, destination_problems, play_problems
from streams.notify.playbooks.samples import samples
from streams.notify.playbooks.standard import STANDARD
from streams.notify.playbooks.states import list_problems, state_warnings
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

    def opens(self) -> Callable[[Delivery, int], int]:
        """When an open delivery may be sent: now, or at the end of its readers' quiet hours."""
        plans = {name: self.plan(name, None) for name in self.destinations}

        def opens_ms(delivery: Delivery, now_ms: int) -> int:
            plan = plans[delivery.destination]
            of_play = plan.play(delivery.play)
            return plan.opens_ms(None if of_play is None else of_play.play.owner, delivery.facts, now_ms)

        return opens_ms

    def type_of(self, destination: str) -> ConnectorType:
        return CONNECTORS[self.destinations[destination].type]

    def knows(self, delivery: Delivery) -> bool:
        """Whether a delivery that was planned earlier is still wanted, and can be made."""
        destination = self.destinations.get(delivery.destination)
        return destination is not None and any(
            play.id == delivery.play
            and play.enabled
            and play.destination == delivery.destination
            and delivery.template in {*play.templates, *templates_of(destination)}
            for play in self.plays
        )

    def write(self, delivery: Delivery, track: Callable[[str, Delivery], str] | None = None) -> Rendered:
        """The words of a delivery; raises TemplateProblem. `track`: see `Words.rendered`."""
        dialect = self.type_of(delivery.destination).dialect
        words = self.words[delivery.template, dialect]
        return words.rendered(delivery, None if track is None else lambda url: track(url, delivery))


def load_playbooks(
    reference: str,
    environ: Mapping[str, str] | None,
    segments: Collection[str] | None = None,
    definitions: Collection[str] | None = None,
) -> Playbooks:
    """Read and check; raises PlaybookError with every problem found.

    Without `environ`, values of variables are made up: such playbooks can be checked, not used. `segments` and
    `definitions` are the catalog's, whose names plays may use; without them any name is taken.
    """
    document = read_document(reference)
    playbook = _validated(document)
    filled = substituted(document, environ)
    problems = filled.problems
    destinations = _destinations(document, filled)
    words = _compiled(document, playbook, problems)
    named = Names(tuple(words_of(playbook)), playbook.goals, segments, definitions)
    for entry in playbook.destinations:
        problems += destination_problems(document, entry, named)
    for play in playbook.plays:
        problems += play_problems(document, play, playbook, named)
    states = [play for play in playbook.plays if _keeps_state(destinations.get(play.destination))]
    problems += list_problems(document, states)
    if problems:
        raise PlaybookError(problems)
    warnings = [
        *_warnings(document, destinations),
        *state_warnings(document, states),
        *_tried(document, playbook, destinations, words),
    ]
    return Playbooks(playbook.plays, destinations, words, tuple(warnings), playbook)


def templates_of(destination: Destination) -> Iterator[str]:
    """What its messages about several are written with."""
    yield STANDARD_DIGEST if destination.group is None else destination.group.template or STANDARD_DIGEST
    yield destination.summary_template or STANDARD_SUMMARY


def words_of(playbook: Playbook) -> Mapping[str, Template]:
    """Its templates, and those that every playbook has."""
    return {**STANDARD, **playbook.templates}


def _keeps_state(destination: Destination | None) -> bool:
    return destination is not None and CONNECTORS[destination.type].latest_wins


def _validated(document: Document) -> Playbook:
    try:
        return Playbook.model_validate(document.tree)
    except ValidationError as error:
        raise PlaybookError(explained(document, error, (), Playbook)) from None


def _destinations(document: Document, filled: Substituted) -> dict[str, Destination]:
    result: dict[str, Destination] = {}
    problems = filled.problems
    for index, entry in enumerate(filled.destinations):
        name = str(entry.get("id", index))
        path = ("destinations", name)
        try:
            kind = CONNECTORS.get(str(entry.get("type")))
        except ConnectorError as error:
            problems.append(document.problem((*path, "type"), str(error)))
            continue
        if kind is None:
            reason = f"there is no type {entry['type']!r}" if "type" in entry else "has no type"
            problems.append(document.problem((*path, "type"), reason, nearest(str(entry.get("type")), CONNECTORS)))
            continue
        if name in filled.broken:
            continue
        try:
            found = kind.config.model_validate(entry)
        except ValidationError as error:
            problems += explained(document, error, path, kind.config)
        else:
            result[found.id] = found
    return result


def _compiled(document: Document, playbook: Playbook, problems: list[Problem]) -> dict[tuple[str, Dialect], Words]:
    words: dict[tuple[str, Dialect], Words] = {}
    for name, template in words_of(playbook).items():
        try:
            words |= {(name, dialect): Words(template, dialect) for dialect in Dialect}
        except TemplateProblem as problem:
            problems.append(_in_template(document, name, problem))
    return words


def _in_template(document: Document, name: str, problem: TemplateProblem) -> Problem:
    line = "" if problem.line is None else f"line {problem.line} of the template: "
    return document.problem(("templates", name, problem.part), line + problem.reason)


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
    """Templates that fail on news that has no evidence: in earnest, a dead letter."""
    found: dict[tuple[str, str], Problem] = {}
    for play in playbook.plays:
        dialect = CONNECTORS[destinations[play.destination].type].dialect
        for delivery in _deliveries(play, destinations[play.destination]):
            try:
                words[delivery.template, dialect].rendered(delivery)
            except TemplateProblem as problem:
                told = _in_template(document, delivery.template, problem)
                found[delivery.template, problem.part] = Problem(
                    told.file, told.line, told.place, f"fails when the evidence is empty: {told.reason}",
                    'ask values.get("..."), or whether it is defined',
                )  # fmt: skip
    return list(found.values())


def _deliveries(play: Play, destination: Destination) -> Iterator[Delivery]:
    """Made up, one for each template that messages of the play may be written with."""
    for template in play.templates:
        yield from samples(play, template)
    if play.roster is None:
        for template in templates_of(destination):
            yield from (replace(one, kind=MessageKind.DIGEST) for one in samples(play, template))
