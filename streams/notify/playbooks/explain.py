"""What pydantic found wrong, by the entries' ids, with what could have been meant; never a value."""

from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from schemas.playbook import Play, Playbook
from streams.notify.playbooks.document import Document, Place
from streams.notify.playbooks.problems import Problem, nearest

Loc = tuple[int | str, ...]
SHORT_FORMS = {Play: ("segment", "direction"), Playbook: ("extends",)}


def explained(document: Document, error: ValidationError, above: Place, model: type[BaseModel]) -> list[Problem]:
    problems = []
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        path = above + _path(document, detail["loc"])
        reason = detail["msg"].removeprefix("Value error, ")
        fix = ""
        if detail["type"] == "extra_forbidden":
            reason = "there is no such entry"
            fix = nearest(path[-1], _entries(model, detail["loc"]))
        elif detail["type"] == "missing":
            reason = "is missing"
        problems.append(document.problem(path, reason[:1].lower() + reason[1:], fix))
    return problems


def _path(document: Document, loc: Loc) -> Place:
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


def _entries(model: type[BaseModel], loc: Loc) -> list[str]:
    """What may stand where something unknown stands."""
    for part in loc[:-1]:
        model = _inner(model, part) or model
    return [*(info.alias or name for name, info in model.model_fields.items()), *SHORT_FORMS.get(model, ())]


def _inner(model: type[BaseModel], part: int | str) -> type[BaseModel] | None:
    """The model of an entry, or of the items of a list, or of the values of a map."""
    named = {info.alias or name: info.annotation for name, info in model.model_fields.items()}
    return _model_in(named.get(str(part)))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_in(one)) is not None), None)
