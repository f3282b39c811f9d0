"""Goals: what a play is meant to lead to, in terms of transitions. `entered("customer") or exited("at_risk")`."""

import ast
from typing import Final

from schemas.transition import Direction

GOAL_CHARS_MAX: Final = 500
TERMS_MAX: Final = 20

Term = tuple[Direction, str]
_WORDS: Final = {"entered": Direction.ENTERED, "exited": Direction.EXITED}


def parse_goal(text: str) -> tuple[Term, ...]:
    """The transitions of which any reaches the goal; raises ValueError that says what can be written."""
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(_ADVICE) from None
    alternatives = tree.values if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.Or) else [tree]
    if len(alternatives) > TERMS_MAX:
        raise ValueError(f"has more than {TERMS_MAX} alternatives")
    return tuple(_term(one) for one in alternatives)


_ADVICE: Final = 'is no goal; write entered("segment") or exited("segment"), several joined by or'


def _term(node: ast.expr) -> Term:
    match node:
        case ast.Call(func=ast.Name(id=word), args=[ast.Constant(value=str(segment))], keywords=[]) if word in _WORDS:
            return _WORDS[word], segment
    raise ValueError(_ADVICE)
