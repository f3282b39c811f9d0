"""Words: escaped, bounded, and told of when wrong."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.playbook import Template
from streams.connectors.dialects import Dialect
from streams.connectors.message import Rendered
from streams.notify.plan.render import BODY_CHARS_MAX, TITLE_CHARS_MAX, TemplateProblem, Words
from streams.notify.plan.words import duration, number, percent
from tests.unit.notify.world import delivery, news


def rendered(body: str = "", title: str = "t", dialect: Dialect = Dialect.SLACK, **fields: Any) -> Rendered:
    return Words(Template(title=title, body=body), dialect).rendered(replace(delivery(), news=news(**fields)))


def body_of(body: str, dialect: Dialect = Dialect.SLACK, **fields: Any) -> str:
    return rendered(body, dialect=dialect, **fields).body


HOSTILE = "<!channel> & <https://evil.example|click>"


def test_whatever_an_account_is_called_it_is_text_in_slack() -> None:
    escaped = "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;"
    assert body_of("{{ account }}", account=HOSTILE) == escaped
    assert body_of("{{ account | upper }}", account="<!here>") == "&lt;!HERE&gt;"
    assert body_of("{{ 'x' ~ account }}", account="<b>") == "x&lt;b&gt;"
    assert body_of("{{ account | bold }}", account=HOSTILE) == f"*{escaped}*"
    assert body_of("{{ account | code }}", account="<`rm`>") == "`&lt;'rm'&gt;`"
    assert body_of("{{ 'https://a.example/' | link(account) }}", account="<|>") == "<https://a.example/|&lt;¦&gt;>"
    assert body_of("{{ 'javascript:alert(1)' | link('x') }}") == "x"
    assert body_of("{{ ('https://a.example/' ~ account) | link('x') }}", account="a|b>") == "x"


def test_markup_that_was_made_cannot_be_reused_to_smuggle() -> None:
    assert body_of("{{ (account | bold) ~ account }}", account="<b>") == "*&amp;lt;b&amp;gt;*&lt;b&gt;"
    assert body_of("{{ account | bold | upper }}", account="<b>") == "*&amp;LT;B&amp;GT;*"


def test_the_title_is_plain_and_one_line() -> None:
    assert rendered(title=" {{ account }}\n\n is here ", account="<a>\nb").title == "<a> b is here"


def test_control_characters_of_values_become_spaces() -> None:
    assert body_of("{{ account }}", Dialect.PLAIN, account="a\x1b[2J\nb\u202ec\x00") == "a [2J b c"


@settings(deadline=None)
@given(account=st.text(min_size=1, max_size=255))
def test_no_account_name_forges_markup_or_lines(account: str) -> None:
    found = body_of("{{ account }}|{{ account | bold }}", account=account)
    assert "<" not in found
    assert "\n" not in found
    assert found.count("&") == sum(found.count(entity) for entity in ("&lt;", "&gt;", "&amp;"))


def test_the_result_is_bounded() -> None:
    endless = rendered(
        "{% for a in range(1000) %}{% for b in range(1000) %}{{ account }}{% endfor %}{% endfor %}",
        title="{% for a in range(1000) %}{{ account }}{% endfor %}",
        account="<" * 100,
    )
    assert len(endless.title) <= TITLE_CHARS_MAX
    assert len(endless.body) <= BODY_CHARS_MAX
    assert endless.body.endswith("…")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{{ acount }}", "acount is not defined; did you mean account?"),
        ("{{ os.environ }}", "os is not defined"),
        ("{{ account | boldd }}", "No filter named 'boldd'; did you mean bold?"),
        ("one\n{% if %}", "Expected an expression"),
        ("{{ account", "unexpected end of template"),
        ("{% include 'x' %}", "stands alone"),
    ],
)
def test_a_template_that_cannot_work_is_refused_when_it_is_read(body: str, reason: str) -> None:
    with pytest.raises(TemplateProblem) as caught:
        rendered(body)
    assert reason.lower() in str(caught.value).lower()
    assert caught.value.part == "body"


def test_the_line_of_a_fault_is_told() -> None:
    with pytest.raises(TemplateProblem) as caught:
        Words(Template(title="t", body="a\nb\n{{ acount }}"), Dialect.PLAIN)
    assert caught.value.line == 3


@pytest.mark.parametrize(
    "body",
    [
        "{{ evidence.nothing.at.all }}",
        "{{ values['not there'] | number }}",
        "{{ account.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ 'x' * 1000000000 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ '%1000000000d' % 1 }}",
        "{% for i in range(100000) %}{% endfor %}",
        "{{ evidence.update({'a': 1}) }}",
        "{{ 1 / 0 }}",
        "{{ account + 1 }}",
    ],
)
def test_a_template_that_fails_on_some_news_says_so_and_harms_nothing(body: str) -> None:
    with pytest.raises(TemplateProblem):
        rendered(body)


def test_a_title_that_is_empty_for_some_news_is_a_fault() -> None:
    with pytest.raises(TemplateProblem, match="is empty"):
        rendered(title="{% if group %}x{% endif %}")


def test_blank_lines_of_logic_disappear() -> None:
    assert body_of("a\n{% if group %}\nx\n{% endif %}\n\n\n\nb\n{% if group %}x{% endif %}\n\n") == "a\n\nb"


def test_nothing_prints_as_nothing() -> None:
    assert body_of("[{{ group }}|{{ dwell_seconds | duration }}|{{ entered_at | day }}|{{ group | label }}]") == "[|||]"


def test_facts_and_why_read_the_evidence_whatever_it_is() -> None:
    evidence = {"values": {"score(days=3)": 24, "activated": False, "nps": None, "rate": 0.33333}}
    assert (
        body_of("{{ evidence | why }}", evidence=evidence) == "score(days=3) 24, activated no, nps unknown, rate 0.33"
    )
    nothings: tuple[Any, ...] = ({}, {"values": {}}, {"values": None}, None, [], "x")
    for nothing in nothings:
        assert body_of("[{{ evidence | why }}{% for f in evidence | facts %}x{% endfor %}]", evidence=nothing) == "[]"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "a minute"), (59, "a minute"), (150, "2 minutes"), (7_200, "2 hours"), (86_400, "24 hours"),
     (2_591_700.88, "30 days"), (-172_800, "2 days"), (None, ""), ("x", "x")],
)  # fmt: skip
def test_durations_are_read_by_people(seconds: object, text: str) -> None:
    assert duration(seconds) == text


def test_numbers_are_read_by_people() -> None:
    assert [number(n) for n in (1, 1234567, 24.0, 0.336, -2.5, True, None, "x")] == [
        "1", "1,234,567", "24", "0.34", "-2.5", "True", "", "x",
    ]  # fmt: skip
    assert [percent(n) for n in (0.4, 1, 0.3333, None)] == ["40 %", "100 %", "33.3 %", ""]


def test_days_and_times_are_utc() -> None:
    found = body_of("{{ effective_at | day }}; {{ effective_at | time }}", effective_at="2026-03-01T23:30:00-05:00")
    assert found == "2 Mar 2026; 2 Mar 2026, 04:30 UTC"
