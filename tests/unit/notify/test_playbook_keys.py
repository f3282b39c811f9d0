"""Everything that a playbook may say beyond who is told of what: what is accepted, and how faults are told."""

from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from schemas.action import Reason
from schemas.generate import json_schema
from schemas.goal import parse_goal
from schemas.playbook import Play
from schemas.schedule import Weekday, ZoneOf
from schemas.transition import Direction
from streams.connectors.dialects import Dialect
from streams.connectors.message import Link, MessageKind
from streams.notify.plan.delivery import Delivery
from streams.notify.plan.destination import STANDARD_DIGEST, STANDARD_SUMMARY
from streams.notify.plan.planner import Planner
from streams.notify.playbooks import PlaybookError, Playbooks, load_playbooks
from streams.notify.playbooks.samples import delivery, sample
from streams.notify.playbooks.standard import STANDARD, STANDARD_LIST
from tests.unit.notify.plan.scene import MONDAY_MS, transition

WHOLE = """\
format: 1
name: acme
timezone: Europe/Berlin
holdout_percent: 5
holdout_salt: "2026"
calendar: {business_days: [mon, tue], holidays: [2026-12-25]}
destinations:
  - id: team
    type: console
    quiet_hours: {from: 18:00, to: "08:00", weekends: true, zone: account}
    budget_per_day: 40
    group: {wait_s: 30, interval_s: 300, by: [segment], max: 20, template: many}
    summary_template: many
templates:
  words: {title: "{{ name }}", body: "{{ evidence | why }}"}
  many: {title: "{{ total }}", body: "{% for one in items %}{{ one.name }}{% endfor %}"}
goals: {converted: 'entered("customer") or exited("trial")'}
plays:
  - id: call
    on: entered
    segment: trial
    template: words
    destination: team
    cooldown_days: 7
    reentry: {every_days: 30}
    inhibited_by: [churned]
    steps:
      - {after_days: 3, template: words, while: true}
      - {every_days: 42, times: 8, template: words, while: trial}
    stop_on: {exit: true, goal: converted, enters: [churned]}
    holdout_percent: 10
    goal: {reaches: converted, within_days: 14}
    owner: {trait: owner, map: {anna@example.com: U1}, default: "#sales", zones: {anna@example.com: Asia/Tokyo}}
  - id: lasts
    on: {dwell_days: 14}
    segment: at_risk
    template: words
    destination: team
  - id: list
    on: {digest: "0 8 * * mon-fri"}
    list: {segment: trial, sort: depth_x_breadth, order: desc, top: 20}
    template: many
    destination: team
"""
SEGMENTS = ("trial", "customer", "churned", "at_risk")


def loaded(tmp_path: Path, text: str = WHOLE, **known: Any) -> Playbooks:
    file = tmp_path / "acme.yaml"
    file.write_text(text, encoding="utf-8")
    return load_playbooks(str(file), {}, **({"segments": SEGMENTS, "definitions": ["depth_x_breadth"]} | known))


def faults(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(PlaybookError) as caught:
        loaded(tmp_path, text)
    return [line.replace(f"{tmp_path}/acme.yaml:", "") for line in str(caught.value).splitlines()]


def test_every_key_is_read(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    assert found.warnings == ()
    plan = found.plan("team", 24)
    assert (str(plan.zone), plan.holdout_percent, plan.salt, plan.budget_per_day) == ("Europe/Berlin", 5, "2026", 40)
    assert plan.quiet_hours is not None
    assert (plan.quiet_hours.start, plan.quiet_hours.end, plan.quiet_hours.zone) == (1_080, 480, ZoneOf.ACCOUNT)
    assert plan.calendar.holidays == (date(2026, 12, 25),)
    assert plan.calendar.business_days == (Weekday.MON, Weekday.TUE)
    call, lasts, roster = plan.plays
    assert call.goal == ((Direction.ENTERED, "customer"), (Direction.EXITED, "trial"))
    assert call.stops == ((Direction.ENTERED, "churned"), *call.goal)
    assert call.mentions == {"trial", "customer", "churned"}
    assert [one.after_ms // 86_400_000 for one in call.occasions] == [3, *(3 + 42 * n for n in range(1, 9))]
    assert (lasts.play.dwell_days, roster.play.cron) == (14, "0 8 * * mon-fri")
    assert roster.mentions == {"trial"}


def test_the_json_schema_takes_what_the_reader_takes_with_all_its_short_forms(tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(json_schema("playbook"))
    whole = yaml.load(WHOLE, Loader=yaml.BaseLoader)  # `on` is a key here, and not a truth
    numbers = yaml.safe_load(WHOLE.replace(" on:", ' "on":').replace("2026-12-25", '"2026-12-25"'))
    assert set(numbers) == set(whole)
    validator.validate(numbers)
    for play in ({"segment": "x", "direction": "exited"}, {"segments": "x", "reentry": "once"}, {"segments": ["x"]}):
        numbers["plays"] = [{"id": "a", "template": "words", "destination": "team"} | play]
        validator.validate(numbers)
        Play.model_validate(numbers["plays"][0])
    numbers["plays"][0]["steps"] = [{"after": 3}]
    assert not validator.is_valid(numbers)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("timezone: Europe/Berlin", "timezone: Berlin",
         "3: timezone: there is no such time zone; write it as Europe/Berlin or UTC"),
        ("holdout_percent: 5", "holdout_percent: 101",
         "4: holdout_percent: input should be less than or equal to 100"),
        ("[mon, tue]", "[]", "6: calendar business_days: tuple should have at least 1 item after validation, not 0"),
        ("[mon, tue]", "[monday]",
         "6: calendar business_days 0: input should be 'mon', 'tue', 'wed', 'thu', 'fri', 'sat' or 'sun'"),
        ("from: 18:00", "from: 18",
         "10: destinations 'team' quiet_hours from: is no time of day; write it as \"18:00\""),
        ("from: 18:00", 'from: "25:00"',
         "10: destinations 'team' quiet_hours from: is no time of day; write it as \"18:00\""),
        ("from: 18:00", 'from: "08:00"',
         ("10: destinations 'team' quiet_hours: from and to are the same: "
          "leave a time at which something may be sent")),
        ("zone: account", "zone: mine",
         "10: destinations 'team' quiet_hours zone: input should be 'account', 'owner' or 'destination'"),
        ("weekends: true", "weekend: true",
         "10: destinations 'team' quiet_hours weekend: there is no such entry; did you mean weekends?"),
        ("budget_per_day: 40", "budget_per_day: 0",
         "11: destinations 'team' budget_per_day: input should be greater than or equal to 1"),
        ("template: many}", "template: man}",
         "12: destinations 'team' group template: there is no template 'man'; did you mean many?"),
        ("summary_template: many", "summary_template: standard-sumary",
         ("13: destinations 'team' summary_template: there is no template 'standard-sumary'; "
          "did you mean standard-summary?")),
        ('entered("customer") or', 'enter("customer") or',
         ('17: goals: converted is no goal; write entered("segment") or exited("segment"), several joined by or')),
        ('entered("customer") or', 'entered("custommer") or',
         "30: plays 'call' stop_on goal: the catalog has no segment 'custommer'; did you mean customer?"),
        ("on: entered", "on: enters",
         "19: plays 'call' directions 0: input should be 'entered', 'exited' or 'moved'"),
        ("on: entered", "on: entered\n    direction: exited",
         "19: plays 'call': give on or direction, not both"),
        ("on: {dwell_days: 14}", "on: {dwell: 14}",
         "35: plays 'lasts' on dwell: there is no such entry; did you mean dwell_days?"),
        ("on: {dwell_days: 14}", 'on: {dwell_days: 14, digest: "0 8 * * *"}',
         "35: plays 'lasts' on: give one of dwell_days and digest, or entered, exited or moved"),
        ("on: {dwell_days: 14}", "on: {dwell_days: 14}\n    directions: [exited]",
         "34: plays 'lasts': dwell_days begins with an entry: leave out direction"),
        ('"0 8 * * mon-fri"', '"0 8 * *"',
         ("40: plays 'list' on digest: write five fields: minute, hour, day, month, weekday, "
          'as in "0 8 * * mon-fri"')),
        ('"0 8 * * mon-fri"', '"0 24 * * *"', "40: plays 'list' on digest: is no cron expression: Bad hour"),
        ('    on: {digest: "0 8 * * mon-fri"}\n', "",
         "39: plays 'list': a list needs its times: on: {digest: \"0 8 * * mon-fri\"}"),
        ("sort: depth_x_breadth", "sort: depth_x_bread",
         ("41: plays 'list' list sort: the catalog has no definition 'depth_x_bread'; did you mean depth_x_breadth?")),
        ("top: 20", "top: 0", "41: plays 'list' list top: input should be greater than or equal to 1"),
        ("list: {segment: trial", "list: {segment: trail",
         "41: plays 'list' list segment: the catalog has no segment 'trail'; did you mean trial?"),
        ("reentry: {every_days: 30}", "reentry: {every: 30}",
         "25: plays 'call' reentry: write always, once, or {every_days: 30}"),
        ("inhibited_by: [churned]", "inhibited_by: [chruned]",
         "26: plays 'call' inhibited_by: the catalog has no segment 'chruned'; did you mean churned?"),
        ("after_days: 3,", "after_days: 3, every_days: 3,",
         "28: plays 'call' steps 0: give one of after_days and every_days"),
        ("after_days: 3,", "after_days: 3, times: 3,", "28: plays 'call' steps 0: times goes with every_days"),
        ("every_days: 42, times: 8", "after_days: 3",
         ("19: plays 'call': steps stand in the order of their after_days, "
          "each later than the one before")),
        ("while: trial}", "while: 3}",
         "29: plays 'call' steps 1 while: write true, false, or the name of one segment"),
        ("while: trial}", "while: trail}",
         "29: plays 'call' steps 1 while: the catalog has no segment 'trail'; did you mean trial?"),
        ("template: words, while: true", "template: wrods, while: true",
         "28: plays 'call' steps 0 template: there is no template 'wrods'; did you mean words?"),
        ("goal: converted, enters", "goal: convert, enters",
         "30: plays 'call' stop_on goal: there is no goal 'convert'; did you mean converted?"),
        ("{reaches: converted, within_days: 14}", "{enters: customer}",
         "32: plays 'call' goal within_days: is missing"),
        ("{reaches: converted, within_days: 14}", "{within_days: 14}",
         "32: plays 'call' goal: give one of enters, exits and reaches"),
        ("trait: owner", "trat: owner", "33: plays 'call' owner trat: there is no such entry; did you mean trait?"),
        ("Asia/Tokyo", "Tokyo",
         ("33: plays 'call' owner zones anna@example.com: there is no such time zone; "
          "write it as Europe/Berlin or UTC")),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_place_reason_and_fix(tmp_path: Path, old: str, new: str, fault: str) -> None:
    text = WHOLE.replace(old, new, 1)
    assert text != WHOLE
    assert fault in faults(tmp_path, text)


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        ({"list": {"segment": "x"}}, "a list needs its times"),
        ({"list": {"segment": "x"}, "on": {"digest": "0 8 * * *"}, "segment": "y"}, "a list says its segment itself"),
        ({"list": {"segment": "x"}, "on": {"digest": "0 8 * * *"}, "cooldown_days": 1}, "a list has no cooldown_days"),
        ({"segment": "x", "on": {"digest": "0 8 * * *"}, "reentry": "once"}, "has no steps and no reentry"),
        ({"segment": "x", "stop_on": {"exit": True}}, "stop_on ends steps, and there are none"),
        ({"segment": "x", "steps": [{"after_days": 1, "template": "t"}], "stop_on": {"goal": True}}, "it has none"),
        ({"segment": "x", "on": {"digest": "0 0 30 2 *"}}, "is no cron expression"),
        ({"segment": "x", "cooldown_days": 0}, "greater than 0"),
        ({"segment": "x", "cooldown_days": float("nan")}, "finite number"),
        ({}, "say which transitions"),
    ],
)
def test_what_does_not_fit_together_is_refused(entries: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Play.model_validate({"id": "a", "template": "t", "destination": "d"} | entries)


@pytest.mark.parametrize(
    "text",
    ["", "entered", "entered(x)", 'entered("a", "b")', 'entered("a") and exited("b")', "1", 'left("a")', "(" * 5_000,
     " or ".join(['entered("a")'] * 21), 'entered(segment="a")'],
)  # fmt: skip
def test_what_is_no_goal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no goal|alternatives"):
        parse_goal(text)


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    secret, text = tmp_path / "url", (
        "format: 1\nname: a\ndestinations:\n  - {id: team, type: slack, url: '${file:%s}'}\n"
    )  # fmt: skip
    secret.write_text("https://hooks.slack.example/services/T0/B0/very-secret\n")
    found = loaded(tmp_path, text % secret)
    assert found.destinations["team"].model_dump()["url"].get_secret_value().endswith("/very-secret")
    assert found.warnings == ()
    contents = {"none": (None, "cannot be read"), "empty": (b" ", "is empty"), "binary": (b"\xff", "is not UTF-8"),
                "large": (b"x" * 70_000, "is larger")}  # fmt: skip
    for name, (content, reason) in contents.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        [fault] = faults(tmp_path, text % (tmp_path / name))
        assert fault.startswith(f"4: destinations 'team' url: the file {tmp_path / name} {reason}")


def test_a_delivery_is_known_while_its_play_is_there_by_any_of_its_templates(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    told = delivery(found.plays[0], sample("trial", Direction.ENTERED))
    for template, known in (("words", True), ("many", True), (STANDARD_DIGEST, False)):
        assert found.knows(made(told, template=template)) is known
    assert not found.knows(made(told, play="gone"))
    assert not found.knows(made(told, destination="gone"))


def made(told: Delivery, **fields: Any) -> Delivery:
    known: dict[str, Any] = {name: getattr(told, name) for name in Delivery.__dataclass_fields__}
    return Delivery(**(known | fields))


def test_what_is_planned_can_be_written(tmp_path: Path) -> None:
    found = loaded(
        tmp_path, WHOLE.replace("holdout_percent: 5", "holdout_percent: 0").replace("percent: 10", "percent: 0")
    )
    planner = Planner(found.plan("team", None))
    for account in ("a", "b"):
        news, source = transition(account, 1, MONDAY_MS, segment="trial")
        planner.take(news, source, {"name": account.upper()}, MONDAY_MS)
    [told] = [one.delivery for one in planner.due(MONDAY_MS + 30_000) if one.reason is Reason.PLANNED]
    rendered = found.write(told)
    assert (rendered.title, rendered.body) == ("2", "AB")


def test_visits_are_known_of_where_links_are_set_up(tmp_path: Path) -> None:
    text = WHOLE.replace(
        'body: "{{ evidence | why }}"}',
        "body: \"{{ ('https://a.example/' ~ account) | tracked | link('open') }}\", "
        'links: [{label: "Open {{ name }}", url: "{{ \'https://a.example/\' | tracked }}"}, '
        '{label: "{{ owner }}", url: "https://b.example/"}]}',
    )
    found = loaded(tmp_path, text)
    told = made(delivery(found.plays[1], sample("at_risk", Direction.ENTERED)), owner=None)
    assert found.write(told).links == (Link("Open acme.example", "https://a.example/"),)
    tracked = found.write(told, lambda url, one: f"https://t.example/{one.play}/{len(url)}")
    assert tracked.links == (Link("Open acme.example", "https://t.example/lasts/18"),)
    assert "https://t.example/lasts/30" in tracked.body


@pytest.mark.parametrize("dialect", list(Dialect))
def test_the_standard_words_say_every_account_and_how_many_more(dialect: Dialect, tmp_path: Path) -> None:
    found = loaded(tmp_path)
    news = sample("at_risk", Direction.MOVED, evidence={"values": {"score": 3}})
    for name in STANDARD:
        kind = MessageKind.LIST if name == STANDARD_LIST else MessageKind.DIGEST
        told = delivery(found.plays[0], news, name, kind, {"name": "A & Söhne <b>"})
        rendered = found.words[name, dialect].rendered(told)
        assert "5" in rendered.title
        assert "<b>" not in rendered.body or dialect is Dialect.PLAIN
        assert rendered.body.count("3") >= 2
        assert "and 3 more" in rendered.body
        if kind is MessageKind.LIST:
            assert "New: acme.example" in rendered.body


def test_a_playbook_may_have_the_standard_words_its_own_way(tmp_path: Path) -> None:
    found = loaded(tmp_path, WHOLE.replace("templates:\n", f'templates:\n  {STANDARD_SUMMARY}: {{title: "mine"}}\n'))
    told = delivery(found.plays[0], sample("trial", Direction.ENTERED), STANDARD_SUMMARY, MessageKind.DIGEST)
    assert found.words[STANDARD_SUMMARY, Dialect.PLAIN].rendered(told).title == "mine"


def test_a_template_that_fails_for_a_step_or_a_digest_is_warned_of(tmp_path: Path) -> None:
    text = WHOLE.replace("{{ one.name }}", "{{ one.values['x'] + 1 }}")
    [warning] = loaded(tmp_path, text).warnings
    assert "templates 'many' body: fails when the evidence is empty" in str(warning)
