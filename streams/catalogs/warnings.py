"""What a catalog says that certainly is not what its author meant: entries without effect, segments without members.

Only of what stands in the catalog's own file: an entry that it inherits is the business of whoever wrote it, unless it
is a segment, which the catalog's own entries may have robbed of its members.
"""

from collections.abc import Iterator
from typing import Final

from schemas.catalog import Catalog
from streams.catalogs.certain import always, follows, never
from streams.catalogs.document import BY_ID, Document, EntryPath
from streams.catalogs.problems import Problem, Severity
from streams.engine.program import Program
from streams.engine.rules.compile import Rule
from streams.engine.rules.expression import Op, Term

ACTIVATION: Final = ("activated", "activation_rate", "activated_at")


def warnings(document: Document, program: Program) -> list[Problem]:
    """All of them, in the order of the file."""
    terms = _terms(program)
    found = [
        *_without_members(program),
        *_behind_another(program),
        *_without_effect(document, program.catalog, terms),
        *_asked_in_vain(program, terms),
        *_asked_of_disabled(program),
    ]
    problems = [document.problem(path, message, severity=Severity.WARNING) for path, message in found]
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line or 0, problem.column or 0))


Finding = tuple[EntryPath, str]


def _terms(program: Program) -> set[Term]:
    nodes = [*program.definition_nodes.values()]
    nodes += [node for rule in program.rules for node in (rule.when, rule.exit_when) if node is not None]
    return {term for node in nodes for term in node.terms()}


def _without_members(program: Program) -> Iterator[Finding]:
    features = len(program.core_features)
    for rule in program.rules:
        if never(rule.when, features):
            yield (BY_ID, rule.id, "when"), "can never hold: the segment will have no members"
        elif rule.exit_when is not None and follows(rule.exit_when, rule.when):
            message = "holds whenever `when` does, and then nobody enters: the segment will have no members"
            yield (BY_ID, rule.id, "exit_when"), message
        elif _is_never_left(program, rule):
            yield (BY_ID, rule.id, "exit_when"), "can never hold: who has entered the segment never leaves it"


def _is_never_left(program: Program, rule: Rule) -> bool:
    """Unless meant: `exit_when: False` says so plainly. In a group an earlier segment still takes over."""
    if rule.exit_when is None or rule.exit_when.op is Op.CONST or program.segments[rule.bit].group is not None:
        return False
    return never(rule.exit_when, len(program.core_features))


def _behind_another(program: Program) -> Iterator[Finding]:
    """Segments of a group that come after one that holds always."""
    holder: dict[str, Rule] = {}
    for rule in program.rules:
        segment = program.segments[rule.bit]
        if segment.group is None:
            continue
        if segment.group in holder:
            first = holder[segment.group].id
            yield (BY_ID, rule.id), f"is never reached: before it in the group, {first!r} always holds"
        elif rule.exit_when is None and not segment.cooldown_days and always(rule.when):
            holder[segment.group] = rule


def _without_effect(document: Document, catalog: Catalog, terms: set[Term]) -> Iterator[Finding]:
    names = {term.name for term in terms}
    told: list[tuple[bool, EntryPath, str]] = [
        (bool(catalog.weights) and "score" not in names, ("weights",), "have no effect: no rule asks for score()"),
        (
            bool(catalog.core_features) and "core_features" not in names,
            ("core_features",), "have no effect: no rule asks for core_features()",
        ),
        (
            bool(catalog.checklist) and not names & {*ACTIVATION},
            ("checklist",), f"only shows in memberships: no rule asks for {', '.join(ACTIVATION)}",
        ),
    ]  # fmt: skip
    signals = set(catalog.signals)
    told += [(name in signals, ("weights", name), "has no effect: signals are in no score") for name in catalog.weights]
    told += [
        (name in signals, ("core_features", str(place)), f"has no effect: {name!r} is a signal, which is no activity")
        for place, name in enumerate(catalog.core_features)
    ]
    measured = {term.event for term in terms if term.name == "measure"}
    told += [
        (name not in measured, ("measures", name), "has no effect: no rule asks for it") for name in catalog.measures
    ]
    asked = {event for term in terms for event in (term.event, term.other)}
    asked |= {*catalog.weights, *catalog.core_features, *(step.event for step in catalog.checklist)}
    asked |= {measure.event for measure in catalog.measures.values()} | {catalog.value_event or ""}
    told += [
        (
            name not in asked and name not in signals,
            ("events", name), 'no rule asks for it, yet what it names counts twice in count("*") and score()',
        )
        for name in catalog.events
    ]  # fmt: skip
    yield from ((path, message) for is_so, path, message in told if is_so and document.is_own(path))


def _asked_in_vain(program: Program, terms: set[Term]) -> Iterator[Finding]:
    """Rules that ask for what the catalog does not say."""
    catalog = program.catalog
    lacking = {
        **({} if catalog.checklist else dict.fromkeys(ACTIVATION, "the checklist is empty, so nobody is activated")),
        **({} if catalog.value_event else {"first_value_at": "there is no value_event, so it is never known"}),
        **({} if program.core_features else {"core_features": "there are no core_features, so it is always 0"}),
    }
    if not lacking.keys() & {term.name for term in terms}:
        return
    for rule in program.rules:
        for key, node in (("when", rule.when), ("exit_when", rule.exit_when)):
            for name in dict.fromkeys(term.name for term in node.terms()) if node is not None else ():
                if name in lacking:
                    yield (BY_ID, rule.id, key), f"asks for {name}, but {lacking[name]}"


def _asked_of_disabled(program: Program) -> Iterator[Finding]:
    for rule in program.rules:
        for key, node in (("when", rule.when), ("exit_when", rule.exit_when)):
            for term in dict.fromkeys(node.terms()) if node is not None else ():
                if term.name == "member" and term.event not in program.bits:
                    yield (
                        (BY_ID, rule.id, key),
                        f"asks for members of {term.event!r}, which is not enabled and has none",
                    )
