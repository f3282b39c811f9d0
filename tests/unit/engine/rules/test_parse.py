import ast
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.calendar import DAY_MS
from streams.engine.rules.errors import RuleError
from streams.engine.rules.expression import Kind, Node, Op, Term
from streams.engine.rules.parse import DEPTH_MAX, NODES_MAX, Scope, parse_condition, parse_value
from streams.engine.rules.vocabulary import FUNCTIONS, NAMES, RESERVED_NAMES, RULE, TERMS, WHERE

SCOPE = Scope(segments=("new_trial", "churned"))


def condition(text: str, scope: Scope = SCOPE) -> Node:
    return parse_condition(text, scope)


def value(text: str, scope: Scope = SCOPE) -> Node:
    return parse_value(text, scope)


def refusal(text: str, scope: Scope = SCOPE) -> RuleError:
    with pytest.raises(RuleError) as caught:
        parse_condition(text, scope)
    return caught.value


# --- what a node is ---


@pytest.mark.parametrize(
    ("text", "op", "kind", "nullable", "linear"),
    [
        ("3", Op.CONST, Kind.NUMBER, False, False),
        ("-3", Op.CONST, Kind.NUMBER, False, False),
        ("2.5", Op.CONST, Kind.NUMBER, False, False),
        ("'a'", Op.CONST, Kind.TEXT, False, False),
        ("True", Op.CONST, Kind.BOOL, False, False),
        ("None", Op.CONST, Kind.NONE, True, False),
        ("stage", Op.TERM, Kind.TEXT, False, False),
        ("activated", Op.TERM, Kind.BOOL, False, False),
        ("mrr", Op.TERM, Kind.NUMBER, True, False),
        ("signed_up_at", Op.TERM, Kind.TIME, False, False),
        ("converted_at", Op.TERM, Kind.TIME, True, False),
        ('last("a")', Op.TERM, Kind.TIME, True, False),
        ('trait("a")', Op.TERM, Kind.ANY, True, False),
        ('count("a")', Op.TERM, Kind.NUMBER, False, False),
        ("score(days=7)", Op.TERM, Kind.NUMBER, False, False),
        ('member("churned")', Op.TERM, Kind.BOOL, False, False),
        ('sequence("a", "b", within_days=1, days=2)', Op.TERM, Kind.BOOL, False, False),
        ("since(signed_up_at)", Op.SINCE, Kind.NUMBER, False, True),
        ("until(converted_at)", Op.UNTIL, Kind.NUMBER, False, True),
        ('time(trait("a"))', Op.TIME_OF, Kind.TIME, True, False),
        ("known(mrr)", Op.KNOWN, Kind.BOOL, False, False),
        ("default(mrr, 0)", Op.DEFAULT, Kind.NUMBER, False, False),
        ("default(mrr, seats)", Op.DEFAULT, Kind.NUMBER, True, False),
        ("default(mrr, since(signed_up_at))", Op.DEFAULT, Kind.NUMBER, False, True),
        ('default(last("a"), signed_up_at)', Op.DEFAULT, Kind.TIME, False, False),
        ('default(trait("a"), "x")', Op.DEFAULT, Kind.ANY, False, False),
        ("default(mrr, 'none')", Op.DEFAULT, Kind.ANY, False, False),
        ("mrr + 1", Op.ARITHMETIC, Kind.NUMBER, True, False),
        ('count("a") + 1', Op.ARITHMETIC, Kind.NUMBER, False, False),
        ('trait("a") * 2', Op.ARITHMETIC, Kind.NUMBER, True, False),
        ('count("a") / 2', Op.ARITHMETIC, Kind.NUMBER, False, False),
        ('count("a") / 0', Op.ARITHMETIC, Kind.NUMBER, True, False),
        ('count("a") / count("b")', Op.ARITHMETIC, Kind.NUMBER, True, False),
        ("2 * since(signed_up_at) - 1", Op.ARITHMETIC, Kind.NUMBER, False, True),
        ("since(signed_up_at) / mrr", Op.ARITHMETIC, Kind.NUMBER, True, True),
        ("-mrr", Op.NEGATE, Kind.NUMBER, True, False),
        ('-trait("a")', Op.NEGATE, Kind.NUMBER, True, False),
        ("-since(signed_up_at)", Op.NEGATE, Kind.NUMBER, False, True),
        ("min(mrr, 1, 2)", Op.CALL, Kind.NUMBER, True, False),
        ("max(since(signed_up_at), 3)", Op.CALL, Kind.NUMBER, False, True),
        ('abs(count("a"))', Op.CALL, Kind.NUMBER, False, False),
        ("round(mrr)", Op.CALL, Kind.NUMBER, True, False),
        ("round(2.5, 1)", Op.CALL, Kind.NUMBER, False, False),
        ("mrr > 1", Op.COMPARE, Kind.BOOL, False, False),
        ("mrr == None", Op.IS_NONE, Kind.BOOL, False, False),
        ("None != plan", Op.IS_NONE, Kind.BOOL, False, False),
        ("stage in ('trial', 'customer')", Op.IN, Kind.BOOL, False, False),
        ("1 < mrr <= 3", Op.AND, Kind.BOOL, False, False),
        ("mrr or seats", Op.OR, Kind.BOOL, False, False),
        ("not mrr", Op.NOT, Kind.BOOL, False, False),
        ("contains(plan, 'pro')", Op.CONTAINS, Kind.BOOL, False, False),
        ("starts_with(plan, 'pro')", Op.STARTS_WITH, Kind.BOOL, False, False),
    ],
)
def test_a_node_knows_its_kind_and_whether_it_can_be_unknown_or_moves(
    text: str, op: Op, kind: Kind, *, nullable: bool, linear: bool
) -> None:
    node = value(text)
    assert (node.op, node.kind, node.nullable, node.linear) == (op, kind, nullable, linear)
    assert ast.dump(ast.parse(node.text)) == ast.dump(ast.parse(text))


def test_a_term_keeps_its_arguments() -> None:
    assert value('count("a b", days=7, before=14)').value == Term("count", "a b", days=7, before=14)
    assert value("score(before=3, days=2)").value == Term("score", days=2, before=3)
    wanted = Term("sequence", "a", "b", days=7, within_ms=DAY_MS // 2)
    assert value('sequence("a", "b", within_days=0.5, days=7)').value == wanted


def test_a_chain_is_its_pairs() -> None:
    node = condition("1 < mrr <= seats")
    assert [pair.text for pair in node.args] == ["1 < mrr", "mrr <= seats"]


def test_without_is_spelled_out() -> None:
    node = condition('without("a", "b", within_days=2)')
    assert node.text == "known(last('a')) and since(last('a')) >= 2 and (not last('b') >= last('a'))"


def test_a_rule_may_run_over_several_lines_and_end_in_a_comment() -> None:
    assert condition("activated\n  and mrr > 3  # rich\n  # and happy\n").op is Op.AND


def test_text_may_hold_anything() -> None:
    text = "\"'\\ \n){}[]%s\N{LATIN SMALL LETTER E WITH ACUTE}\N{HEAVY BLACK HEART}\0"
    assert value(repr(text)).value == text


# --- places ---


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("foo", 1, 1, "the name 'foo' is not known"),
        ("activated and foo", 1, 15, "the name 'foo' is not known"),
        ("activated\nand foo", 2, 5, "the name 'foo' is not known"),
        ("activated\r\nand foo", 2, 5, "the name 'foo' is not known"),
        ("activated\rand foo", 2, 5, "the name 'foo' is not known"),
        ("\n\n  foo", 3, 3, "the name 'foo' is not known"),
        ("plan == 'größe' and foo", 1, 21, "the name 'foo' is not known"),
        ("plan == 'größe'\nor plan == 'ß' or foo", 2, 19, "the name 'foo' is not known"),
        ("plan == '\N{HEAVY BLACK HEART}' and 3 +", 1, 20, "this is not an expression"),
        ("mrr >", 1, 6, "this is not an expression"),
        ("mrr\n> > 3", 2, 3, "this is not an expression"),
        ("activated) or (activated", 1, 10, "unmatched ')'"),
        ("(activated", 1, 1, "this is not an expression"),
        ("1) + (2", 1, 2, "unmatched ')'"),
        ("", 1, 1, "the rule is empty"),
        ("  \n ", 1, 1, "the rule is empty"),
        ("# nothing but a comment", 1, 1, "the rule is empty"),
        ("mrr > 3 = 4", 1, 9, "this is not an expression"),
        ("a\0b", 1, 1, "null bytes"),
        ("plan == '\ud800'", 1, 1, "this cannot be read"),
    ],
)
def test_an_error_points_at_its_place(text: str, line: int, column: int, message: str) -> None:
    error = refusal(text)
    assert message in error.message
    assert (error.line, error.column) == (line, column)


def outcome(text: str) -> Node | RuleError:
    try:
        return condition(text)
    except RuleError as error:
        return error


@given(st.text(max_size=60))
def test_any_text_is_a_rule_or_refused_at_a_place_inside_it(text: str) -> None:
    found = outcome(text)
    if isinstance(found, RuleError):
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        assert 1 <= found.line <= len(lines)
        assert 1 <= found.column <= len(lines[found.line - 1]) + 1


words = st.sampled_from(
    [
        "(", ")", "not ", "-", "+", "*", "/", "and", "or", "<", "==", "in", ",", "1", "mrr", "plan", "'a'", "stage",
        "True", "None", "since(", "until(", "signed_up_at", 'last("a")', "count(", "days=3", "before=1", "min(", "[",
        'trait("a")', "score(days=2)", "known(", "is", "lambda", "x", ":", "]", "{", "}", ".a", ":=", "if", "\n",
    ]
)  # fmt: skip


@given(st.lists(words, max_size=25))
def test_any_words_are_a_rule_or_refused(parts: list[str]) -> None:
    text = " ".join(parts)
    found = outcome(text)
    if isinstance(found, RuleError):
        assert 1 <= found.line <= text.count("\n") + 1
    else:
        assert text.count("(") == text.count(")"), "what was read is what is written"
        assert not found.linear


# --- names ---


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("actvated", "activated"),
        ("mmr > 3", "mrr"),
        ("signed_up > 3", "signed_up_at"),
        ('cuont("a") > 3', "count"),
        ("activ_days(days=3) > 1", "active_days"),
        ('member("new_trail")', "new_trial"),
        ('count("a", dyas=3) > 1', "days"),
        ('stage == "trail"', "trial"),
        ('stage in ("customer", "canceled")', "cancelled"),
        ("dept > 3", "depth"),
    ],
)
def test_a_typo_is_answered_with_the_nearest_name(text: str, suggestion: str) -> None:
    scope = Scope(segments=("new_trial", "churned"), definitions={"depth": "1"})
    assert refusal(text, scope).message.endswith(f"did you mean {suggestion!r}?")


def test_a_name_like_no_other_gets_no_suggestion() -> None:
    assert refusal("qqqqqq").message == "the name 'qqqqqq' is not known"


@pytest.mark.parametrize("name", sorted({*TERMS, *FUNCTIONS}))
def test_a_function_is_written_with_parentheses(name: str) -> None:
    assert refusal(name).message == f"{name} is a function: write {name}(...)"


@pytest.mark.parametrize("name", sorted({*NAMES, "depth"}))
def test_a_value_is_written_without_parentheses(name: str) -> None:
    error = refusal(f"{name}() > 3", Scope(definitions={"depth": "1"}))
    assert error.message == f"{name} is a value, not a function: write it without parentheses"


def test_every_function_is_known_to_the_parser() -> None:
    from streams.engine.rules.parse import _Parser  # noqa: PLC0415

    assert all(hasattr(_Parser, f"_call_{name}") for name in RULE.functions)
    assert len(set(RESERVED_NAMES)) == len(RESERVED_NAMES)


# --- refusals: syntax ---


@pytest.mark.parametrize(
    "text",
    [
        "lambda: 1", "[1, 2]", "{1: 2}", "{1, 2}", "mrr.real > 3", "mrr[0]", "mrr if activated else 3", "(x := 3)",
        "[x for x in (1,)]", "(x for x in (1,))", "f'{mrr}' == plan", "1, 2", "(yield)", "(await mrr)", "*mrr",
    ],
)  # fmt: skip
def test_other_syntax_is_not_allowed(text: str) -> None:
    assert "is not allowed" in refusal(text).message or "not an expression" in refusal(text).message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mrr // 2 > 1", "of arithmetic, + - * / are allowed"),
        ("mrr % 2 > 1", "of arithmetic, + - * / are allowed"),
        ("mrr ** 2 > 1", "of arithmetic, + - * / are allowed"),
        ("mrr << 2 > 1", "of arithmetic, + - * / are allowed"),
        ("+mrr > 1", "only `not` and `-` may stand before a value"),
        ("~mrr > 1", "only `not` and `-` may stand before a value"),
        ("mrr is None", "`is` is not allowed: use == None or != None"),
        ("mrr is not 3", "`is` is not allowed"),
        ("b'x' == plan", "is not a value that a rule knows"),
        ("3j == mrr", "is not a value that a rule knows"),
        ("... == mrr", "is not a value that a rule knows"),
        ("mrr > 1e16", "out of range"),
        ("mrr > -1e16", "out of range"),
        ("mrr > 1e999", "out of range"),
        ("mrr > 1" + "0" * 400, "out of range"),
        (f"plan == '{'x' * 1_001}'", "the text is too long: at most 1000 characters"),
        ('trait("a")("b")', "only functions of the rule vocabulary can be called"),
        ("known.x(mrr)", "only functions of the rule vocabulary can be called"),
        ("__import__('os')", "the function '__import__' is not known"),
        ("eval('1')", "the function 'eval' is not known"),
    ],
)
def test_what_a_rule_cannot_say_is_refused_with_what_it_can(text: str, message: str) -> None:
    assert message in refusal(text).message


# --- refusals: kinds ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("signed_up_at", "signed_up_at is a time, not a condition"),
        ("None", "not a condition"),
        ("not last('a')", "last('a') is a time, not a condition"),
        ("activated and signed_up_at", "signed_up_at is a time, not a condition"),
        ("since(signed_up_at)", "changes all the time: compare it with a number"),
        ("activated or since(signed_up_at)", "changes all the time: compare it with a number"),
        ("plan + 1 > 2", "a number is needed here, but plan is text"),
        ("-plan > 2", "a number is needed here, but plan is text"),
        ("activated + 1 > 2", "a number is needed here, but activated is true or false"),
        ("signed_up_at - 1 > 2", "a number is needed here, but signed_up_at is time: use since(...) or until(...)"),
        ("1 - None > 2", "a number is needed here, but None is None"),
        ("plan > 2", "plan is text and 2 is number: this can never hold"),
        ("plan == activated", "this can never hold"),
        ("mrr < None", "None can only be compared by == and !="),
        ("None > mrr", "None can only be compared by == and !="),
        ("activated < True", "true and false can only be compared by == and !="),
        ("signed_up_at > 3", "compares a time with something else"),
        ("trait('a') > signed_up_at", "compares a time with something else"),
        ("since(mrr) > 3", 'a time such as signed_up_at or last("...") is needed here, but mrr is number'),
        ("since(trait('a')) > 3", ": write time(trait('a'))"),
        ("since(plan) > 3", ": write time(plan)"),
        ("time(mrr) > signed_up_at", "a text is needed here, but mrr is number"),
        ("contains(plan, 3)", "a text is needed here, but 3 is number"),
        ("starts_with(mrr, 'a')", "a text is needed here, but mrr is number"),
        ("default(signed_up_at, 3) > 1", "default() of a time needs a time as its second value"),
        ("default(mrr, signed_up_at) > 1", "default() of a time needs a time as its second value"),
        ("since(signed_up_at) in (1, 2)", "changes with time and cannot be looked up in a tuple"),
        ("signed_up_at in (1, 2)", "changes with time and cannot be looked up in a tuple"),
        ("stage in 'trial'", "after `in` stands a tuple of constants"),
        ("stage in ()", "after `in` stands a tuple of constants"),
        ("stage in stage", "after `in` stands a tuple of constants"),
        ("stage in (plan,)", "a tuple holds constants"),
        ("mrr in (None,)", "a tuple holds constants"),
        ("stage == 3", "stage is text and 3 is number"),
        ("stage in (3,)", "3 is no stage: trial, customer, expired, cancelled"),
        ("'churned' == stage", "'churned' is no stage: trial, customer, expired, cancelled"),
        ("stage not in ('churned',)", "'churned' is no stage"),
    ],
)
def test_values_of_other_kinds_do_not_mix(text: str, message: str) -> None:
    assert message in refusal(text).message


@pytest.mark.parametrize(
    "text",
    [
        "plan == trait('a')", "trait('a') > 2", "default(trait('a'), 0) == 'x'", "activated == known(mrr)", "mrr",
        "trait('a')", "last('a') > last('b')", "signed_up_at == None", "activated != True", "stage in ['trial']",
        "mrr in (1, -2, 2.5)", "contains(trait('a'), plan)", "default(plan, 'a') == 'a'", "(mrr > 3) == activated",
    ],
)  # fmt: skip
def test_values_that_may_be_alike_do(text: str) -> None:
    condition(text)


# --- refusals: arguments ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("count() > 1", "count() takes an event name in quotes, before=, days="),
        ("count('a', 'b') > 1", "count() takes an event name in quotes"),
        ("count(*'a') > 1", "count() takes an event name in quotes"),
        ("count(plan) > 1", "an event name in quotes is needed here"),
        ("count(3) > 1", "an event name in quotes is needed here"),
        ("count('') > 1", "an event name in quotes is needed here"),
        ("count('a', days=0) > 1", "days= is a whole number from 1 to 92"),
        ("count('a', days=93) > 1", "days= is a whole number from 1 to 92"),
        ("count('a', days=-1) > 1", "days= is a whole number from 1 to 92"),
        ("count('a', days=1.5) > 1", "days= is a whole number from 1 to 92"),
        ("count('a', days=True) > 1", "days= is a whole number from 1 to 92"),
        ("count('a', days=mrr) > 1", "days= is a whole number from 1 to 92"),
        ("count('a', days=3, before=-1) > 1", "before= is a whole number from 0 to 92"),
        ("count('a', days=50, before=43) > 1", "the window reaches 93 days back; 92 days are kept"),
        ("count('a', before=3) > 1", "before= needs days="),
        ("count('a', **{'days': 3}) > 1", "count() does not take **; allowed: before, days"),
        ("score() > 1", "score() needs days="),
        ("score('a', days=3) > 1", "score() takes no value without a name, before=, days="),
        ("active_users(days=3, before=2) > 1", "active_users() does not take before=; allowed: days"),
        ("active_days() > 1", "active_days() needs days="),
        ("last('a', days=3) > signed_up_at", "last() does not take days=; allowed: none"),
        ("since(last('*')) > 1", '"*" can only stand in count(); last() needs an event name in quotes'),
        ("sequence('*', 'b', within_days=1, days=1)", '"*" can only stand in count()'),
        ("sequence('a', 'b', days=1)", "sequence() needs within_days="),
        ("sequence('a', 'b', within_days=1)", "sequence() needs days="),
        ("sequence('a', 'b', within_days=-1, days=1)", "within_days= is a number of days from 0 to 3660"),
        ("sequence('a', 'b', within_days=3661, days=1)", "within_days= is a number of days from 0 to 3660"),
        ("sequence('a', 'b', within_days='x', days=1)", "within_days= is a number of days from 0 to 3660"),
        ("sequence('a', 'b', within_days=True, days=1)", "within_days= is a number of days from 0 to 3660"),
        ("without('a', 'b')", "without() takes two event names and within_days="),
        ("without('a', within_days=1)", "without() takes two event names and within_days="),
        ("without('a', 'b', within_days=1, days=2)", "without() takes two event names and within_days="),
        ("without('a', plan, within_days=1)", "an event name in quotes is needed here"),
        ("without('a', 'b', within_days=None)", "within_days= is a number of days"),
        ("activated and without('*', 'b', within_days=1)", '"*" can only stand in count()'),
        ("trait(plan) == 1", "a text in quotes is needed here"),
        ("member(plan)", "a segment's id in quotes is needed here"),
        ("member('nobody_at_all')", "there is no segment 'nobody_at_all'"),
        ("since() > 1", "since() takes 1 value and nothing else"),
        ("since(signed_up_at, 3) > 1", "since() takes 1 value and nothing else"),
        ("until(x=signed_up_at) > 1", "until() takes 1 value and nothing else"),
        ("known()", "known() takes 1 value and nothing else"),
        ("known(*mrr)", "known() takes 1 value and nothing else"),
        ("default(mrr) > 1", "default() takes 2 values and nothing else"),
        ("contains(plan)", "contains() takes 2 values and nothing else"),
        ("time() == None", "time() takes 1 value and nothing else"),
        ("min(mrr) > 1", "min() takes two or more numbers"),
        ("max(mrr, 2, key=3) > 1", "max() takes two or more numbers"),
        ("min(mrr, plan) > 1", "a number is needed here, but plan is text"),
        ("abs() > 1", "abs() takes 1 value and nothing else"),
        ("abs(plan) > 1", "a number is needed here"),
        ("round() > 1", "round() takes a number, and optionally how many digits"),
        ("round(mrr, 1, 2) > 1", "round() takes a number, and optionally how many digits"),
        ("round(mrr, ndigits=2) > 1", "round() takes a number, and optionally how many digits"),
        ("round(mrr, 16) > 1", "the digits of round() are a whole number from 0 to 15"),
        ("round(mrr, -1) > 1", "the digits of round() are a whole number from 0 to 15"),
        ("round(mrr, True) > 1", "the digits of round() are a whole number from 0 to 15"),
        ("round(mrr, seats) > 1", "the digits of round() are a whole number from 0 to 15"),
    ],
)
def test_arguments_are_checked(text: str, message: str) -> None:
    assert message in refusal(text).message


def test_an_error_inside_without_points_at_it() -> None:
    error = refusal("activated and without('*', 'b', within_days=1)")
    assert (error.line, error.column) == (1, 15)


# --- refusals: time ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "since(signed_up_at) * since(converted_at) > 1",
            "a product of two values that change with time is not linear",
        ),
        ("since(signed_up_at) * (1 + until(converted_at)) > 1", "a product of two values that change with time"),
        ("1 / since(signed_up_at) > 1", "a quotient by a value that changes with time is not linear"),
        ("since(signed_up_at) / since(signed_up_at) > 1", "a quotient by a value that changes with time"),
        ("round(since(signed_up_at)) > 1", "round(since(signed_up_at)) is not linear in time"),
        ("round(default(mrr, since(signed_up_at)), 2) > 1", "is not linear in time"),
    ],
)
def test_what_is_not_linear_in_time_is_refused_with_the_reason(text: str, message: str) -> None:
    assert message in refusal(text).message


@pytest.mark.parametrize(
    "text",
    [
        "since(signed_up_at) > until(trial_ends_at)", "2 * since(signed_up_at) >= since(last_active_at) / 3 + 1",
        "abs(since(signed_up_at) - 3) < 1", "min(since(signed_up_at), until(trial_ends_at), mrr) < 1",
        "-since(signed_up_at) < -3", "mrr * since(signed_up_at) > 5", "since(signed_up_at) / mrr > 5",
        "default(mrr, since(signed_up_at)) > 3", "1 < since(signed_up_at) < 3", "known(since(last('a')))",
    ],
)  # fmt: skip
def test_what_is_linear_in_time_piece_by_piece_is_taken(text: str) -> None:
    condition(text)


# --- limits ---


def nested(depth: int) -> str:
    return "not " * (depth - 1) + "activated"


def test_depth_is_limited() -> None:
    condition(nested(DEPTH_MAX))
    assert "too costly" in refusal(nested(DEPTH_MAX + 1)).message


@pytest.mark.parametrize(
    "text",
    [
        "not " * 950 + "activated",
        "-" * 3_000 + "mrr > 1",
        "+".join(["mrr"] * 900) + " > 1",
        "(" * 190 + "mrr" + " == 1)" * 190,
        "mrr" + ".a" * 900,
        "known(" * 60 + "mrr" + ")" * 60,
        "count('a', days=" * 60 + "1" + ")" * 60,
        "(" * 5_000 + "mrr" + ")" * 5_000,
    ],
)
def test_however_deep_a_rule_is_nested_it_is_refused_as_a_rule(text: str) -> None:
    refusal(text)


def test_the_number_of_parts_is_limited() -> None:
    condition("min(" + ", ".join(["1"] * (NODES_MAX - 3)) + ") > 1")
    assert "too costly: at most 1000 parts" in refusal("min(" + ", ".join(["1"] * (NODES_MAX - 2)) + ") > 1").message


# --- definitions ---


def defining(**definitions: str) -> Scope:
    return Scope(definitions=definitions)


def test_a_definition_stands_for_its_expression() -> None:
    scope = defining(depth="count('a', days=3)", double="depth * 2")
    node = condition("double > 3", scope)
    assert node.args[0].text == "depth * 2"
    assert [term.event for term in node.terms()] == ["a"]


def test_a_definition_keeps_its_kind() -> None:
    scope = defining(age="since(signed_up_at)", when="last('a')", rich="mrr > 3")
    assert value("age", scope).linear
    assert condition("since(when) > 1 and rich", scope).kind is Kind.BOOL
    assert "changes all the time" in refusal("age", scope).message


@pytest.mark.parametrize(
    ("definitions", "path"),
    [
        ({"a": "a + 1"}, "a -> a"),
        ({"a": "b + 1", "b": "a"}, "a -> b -> a"),
        ({"a": "b", "b": "c", "c": "mrr + min(a, b)"}, "a -> b -> c -> a"),
    ],
)
def test_definitions_that_go_in_circles_are_refused_with_the_circle(definitions: Mapping[str, str], path: str) -> None:
    error = refusal("a > 3", Scope(definitions=definitions))
    assert error.message.endswith(f"refers to itself: {path}")


def test_an_error_in_a_definition_names_it_and_where_it_was_used() -> None:
    error = refusal("activated and bad > 3", defining(bad="mrr + foo"))
    assert error.message == "in the definition 'bad': the name 'foo' is not known"
    assert (error.line, error.column) == (1, 15)


def test_an_error_in_a_definition_of_a_definition_names_the_outer_one() -> None:
    error = refusal("outer > 3", defining(outer="1 +\n inner", inner="foo"))
    assert error.message == "in the definition 'outer': the name 'foo' is not known"


def test_definitions_that_double_each_other_hit_the_limit_not_the_memory() -> None:
    doubling = {f"d{place}": f"d{place + 1} + d{place + 1}" for place in range(30)} | {"d30": "1"}
    assert "too costly" in refusal("d0 > 1", Scope(definitions=doubling)).message


def test_definitions_that_nest_hit_the_depth_limit() -> None:
    nesting = {f"d{place}": f"d{place + 1} + 1" for place in range(60)} | {"d60": "1"}
    assert "too costly" in refusal("d0 > 1", Scope(definitions=nesting)).message


# --- measures and the population ---

RANKED = Scope(
    segments=("s",),
    definitions={
        "load": "count('a', days=7)",
        "recency": "-since(last_active_at)",
        "name": "plan",
        "ranks": "quintile('load')",
        "mine": "default(mrr, 0) + 1",
        "of_members": "min(1, mrr) + 1",
        "joined": "member('s')",
    },
    measures=("rows",),
)


@pytest.mark.parametrize(
    "text",
    [
        "top_percent('load', 10)", "quintile('load') >= 4", "not top_percent('recency', 99)",
        "quintile('mine') in (4, 5)", "measure('rows', days=7) > 3", "measure('rows', days=7, before=7) > 3",
    ],
)  # fmt: skip
def test_accounts_are_compared_by_definitions_and_measures_are_declared(text: str) -> None:
    assert condition(text, RANKED).kind is Kind.BOOL


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("top_percent('laod', 10)", "accounts are ranked by definitions; did you mean 'load'?"),
        ("top_percent(load, 10)", "a definition's name in quotes is needed here"),
        ("top_percent('load')", "top_percent() takes 2 values and nothing else"),
        ("top_percent('load', 0)", "a whole number of percent from 1 to 99 is needed here"),
        ("top_percent('load', 100)", "a whole number of percent from 1 to 99 is needed here"),
        ("top_percent('load', 2.5)", "a whole number of percent from 1 to 99 is needed here"),
        ("top_percent('load', True)", "a whole number of percent from 1 to 99 is needed here"),
        ("top_percent('load', mrr)", "a whole number of percent from 1 to 99 is needed here"),
        ("quintile('name') > 3", "accounts are ranked by a number, but the definition 'name' is text"),
        ("quintile('ranks') > 3", "the definition 'ranks' asks for ranks or members itself"),
        ("quintile('joined') > 3", "accounts are ranked by a number, but the definition 'joined' is true or false"),
        ("quintile() > 3", "quintile() takes 1 value and nothing else"),
        ("quintile('rows') > 3", "a definition's name in quotes is needed here"),
        ("measure('row', days=7) > 3", "there is no measure 'row'; did you mean 'rows'?"),
        ("measure('rows') > 3", "measure() needs days="),
        ("measure('load', days=7) > 3", "there is no measure 'load'"),
    ],
)  # fmt: skip
def test_a_rank_needs_a_definition_and_a_measure_a_declaration(text: str, message: str) -> None:
    assert message in refusal(text, RANKED).message


def test_the_condition_of_a_named_event_sees_properties_and_nothing_else() -> None:
    scope = Scope(vocabulary=WHERE)
    condition("property('rows') >= 1000 and contains(property('source.kind'), 'api') or known(property('x'))", scope)
    for text in ("mrr > 3", "count('a') > 1", "since(signed_up_at) > 1", "time(property('x')) == None", "stage == 'x'"):
        assert "is not known" in refusal(text, scope).message
    assert refusal("proprty('x') > 1", scope).message.endswith("did you mean 'property'?")
