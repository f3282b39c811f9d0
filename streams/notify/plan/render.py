"""From template and news to words, escaped for the destination and bounded.

Theory of operation. Templates are written by the operator, values come from anywhere: an account's name is whatever a
stranger typed at sign-up. So values are cleaned of control characters before a template sees them (no forged lines,
no terminal codes), and whatever a template prints is escaped for the destination's dialect as it is printed; the only
exceptions are the filters that make markup (`streams.notify.plan.words`). Templates run in Jinja's immutable sandbox;
an undefined name is an error, found when the playbook is loaded where possible. The result is cut to what
destinations take, and a template that prints without end is stopped there.

The sandbox keeps a template away from the process, not from its time: whoever may write playbooks is trusted so far.
"""

import difflib
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, meta, nodes
from jinja2 import Template as Compiled
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from schemas.playbook import Template
from schemas.timestamps import format_ms
from streams.connectors.dialects import Dialect, cut, escape
from streams.connectors.message import Link, MessageKind, Rendered
from streams.notify.plan.delivery import Delivery, Item
from streams.notify.plan.words import TRACK, Marked, Track, filters

TITLE_CHARS_MAX: Final = 150
BODY_CHARS_MAX: Final = 8_000
LABEL_CHARS_MAX: Final = 75
LINK_CHARS_MAX: Final = 3_000
NAME_FACT: Final = "name"
DEPTH_MAX: Final = 8
RANGE_MAX: Final = 1_000

TRANSITION_NAMES: Final = (
    "segment", "direction", "group", "from_segment", "effective_at", "entered_at", "dwell_seconds", "evidence",
    "forecast", "trigger", "sequence", "catalog_version", "transition_id",
)  # fmt: skip
NAMES: Final = (
    "account", "name", *TRANSITION_NAMES, "values", "facts", "owner", "play", "kind", "step", "items", "members",
    "total", "more", "since_last", "scheduled_at",
)  # fmt: skip
"""What a template may name, of the leading item: the transition's fields, `account` for its id, `name` for how it calls
itself (or its id), `values` for what the conditions saw, `facts` for what else is known of the account, `owner`. Of the
message: `items` (each with all of these), `members` (the items of a list), `total` and `more` (all, and those told as a
number only), `since_last` (of a list: `came`, `went`, `at`), `step`, `kind`, `play`, `scheduled_at`."""


class TemplateProblem(ValueError):  # noqa: N818 - it is the template's problem, told to whoever wrote it
    """A template cannot be used. `line` counts within its text."""

    def __init__(self, part: str, line: int | None, reason: str) -> None:
        super().__init__(f"{part}: {reason}")
        self.part = part
        self.line = line
        self.reason = reason


class _Environment(ImmutableSandboxedEnvironment):
    """Without the operators by which one short expression fills the memory."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise SecurityError(f"{operator} is for numbers alone, and ** for none")
        return super().call_binop(context, operator, left, right)


@cache
def _environment(dialect: Dialect) -> _Environment:
    def finalize(value: Any) -> Any:
        if isinstance(value, Marked):
            return str(value)
        return "" if value is None else escape(str(value), dialect)

    environment = _Environment(
        undefined=StrictUndefined, autoescape=False, finalize=finalize, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.clear()
    environment.globals["range"] = _short_range
    environment.filters.update(filters(dialect))
    return environment


def _short_range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > RANGE_MAX:
        raise SecurityError(f"range() of more than {RANGE_MAX}")
    return found


class Words:
    """One template, compiled for one dialect."""

    def __init__(self, template: Template, dialect: Dialect) -> None:
        # A title is plain text everywhere; destinations that read markup are given it as plain text.
        self._title = _compiled("title", template.title, _environment(Dialect.PLAIN))
        self._body = _compiled("body", template.body, _environment(dialect))
        self._links = [
            (
                _compiled("links", one.label, _environment(Dialect.PLAIN)),
                _compiled("links", one.url, _environment(Dialect.PLAIN)),
            )
            for one in template.links
        ]

    def rendered(self, delivery: Delivery, track: Track | None = None) -> Rendered:
        """Raises TemplateProblem, for instance where the template uses evidence that is not there.

        `track` makes of an address one whose visits are known of; without it `tracked` changes nothing.
        """
        names = context_of(delivery) | {TRACK: track}
        title = _line("title", self._title, names, TITLE_CHARS_MAX)
        body = _printed("body", self._body, names, BODY_CHARS_MAX)
        if not title:
            raise TemplateProblem("title", None, "is empty for this transition; it must say something in every case")
        links = (
            Link(_line("links", label, names, LABEL_CHARS_MAX), _line("links", url, names, LINK_CHARS_MAX))
            for label, url in self._links
        )
        return Rendered(title, _tidy(body), tuple(link for link in links if link.label and link.url))


def context_of(delivery: Delivery) -> dict[str, Any]:
    """Everything a template may name, cleaned."""
    items = [_item(one) for one in delivery.items]
    change = delivery.since_last
    return items[0] | {
        "play": delivery.play,
        "kind": delivery.kind.value,
        "step": delivery.step,
        "items": items,
        "members": items if delivery.kind is MessageKind.LIST else [],
        "total": len(items) + delivery.more,
        "more": delivery.more,
        "since_last": {
            "came": cleaned(change.came) if change else [],
            "went": cleaned(change.went) if change else [],
            "at": format_ms(change.at_ms) if change and change.at_ms is not None else None,
        },
        "scheduled_at": None if delivery.scheduled_at_ms is None else format_ms(delivery.scheduled_at_ms),
    }


def _item(item: Item) -> dict[str, Any]:
    fields = {name: cleaned(item.news.fields.get(name)) for name in TRANSITION_NAMES}
    evidence = fields["evidence"] if isinstance(fields["evidence"], dict) else {}
    values = evidence.get("values")
    account = cleaned(item.news.account_id)
    return fields | {
        "account": account,
        "name": cleaned(item.facts.get(NAME_FACT)) or account,
        "evidence": evidence,
        "values": values if isinstance(values, dict) else {},
        "facts": cleaned(item.facts),
        "owner": cleaned(item.owner),
    }


def cleaned(value: Any, depth: int = 0) -> Any:
    """A copy whose texts hold no control, format or line characters; what is nested too deep is left out."""
    if isinstance(value, str):
        return value if value.isprintable() else "".join(c if c.isprintable() else " " for c in value)
    if isinstance(value, Mapping):
        return {cleaned(str(k)): cleaned(v, depth + 1) for k, v in value.items()} if depth < DEPTH_MAX else {}
    if isinstance(value, list | tuple):
        return [cleaned(item, depth + 1) for item in value] if depth < DEPTH_MAX else []
    return value


def _compiled(part: str, source: str, environment: _Environment) -> Compiled:
    try:
        tree = environment.parse(source)
        _check_names(part, tree)
        return environment.from_string(tree)
    except TemplateError as error:
        reason = (error.message or "cannot be read").rstrip(".")
        raise TemplateProblem(
            part, getattr(error, "lineno", None), reason + _nearest_filter(reason, environment)
        ) from None


def _check_names(part: str, tree: nodes.Template) -> None:
    other = next(tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)), None)
    if other is not None:
        raise TemplateProblem(part, other.lineno, "a template stands alone: there is nothing to include or extend")
    unknown = sorted(meta.find_undeclared_variables(tree) - {*NAMES, "range"})
    if not unknown:
        return
    line = next((n.lineno for n in tree.find_all(nodes.Name) if n.name == unknown[0]), None)
    near = difflib.get_close_matches(unknown[0], NAMES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(NAMES)}"
    raise TemplateProblem(part, line, f"{unknown[0]} is not defined; {hint}")


def _nearest_filter(reason: str, environment: _Environment) -> str:
    if not reason.startswith("No filter named"):
        return ""
    near = difflib.get_close_matches(reason.split("'")[1], list(environment.filters), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _printed(part: str, template: Compiled, names: Mapping[str, Any], chars_max: int) -> str:
    printed: list[str] = []
    length = 0
    try:
        for piece in template.generate(names):
            printed.append(piece)
            length += len(piece)
            if length > chars_max:
                break
    except TemplateError as error:
        raise TemplateProblem(part, getattr(error, "lineno", None), (error.message or "fails").rstrip(".")) from None
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
        raise TemplateProblem(part, None, f"fails with {type(error).__name__}") from None
    return cut("".join(printed), chars_max)


def _line(part: str, template: Compiled, names: Mapping[str, Any], chars_max: int) -> str:
    return cut(" ".join(_printed(part, template, names, 4 * chars_max).split()), chars_max)


def _tidy(body: str) -> str:
    """Without the blank lines that template logic leaves behind: one in a row at most, none at the ends."""
    lines: list[str] = []
    for line in (line.rstrip() for line in body.strip().splitlines()):
        if line or (lines and lines[-1]):
            lines.append(line)
    return "\n".join(lines)
