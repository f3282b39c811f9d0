"""The playbooks that come along: something to do for every segment, in words that fit whatever the rules saw."""

import gzip
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest

from schemas.membership import decode_membership
from schemas.playbook import Play
from streams.catalogs import load_program
from streams.cli.playbook import KEY_NUMBERS
from streams.connectors.dialects import Dialect
from streams.engine.outgoing import membership_value
from streams.notify.playbooks import Playbooks, load_playbooks
from streams.preview.messages import Preview, previews
from streams.preview.pool import Pool, built_in, pool_of
from tests.unit.catalogs.scenario import samples
from tests.unit.engine.building import START, Log

ROOT = Path(__file__).parents[3]
REAL = ROOT / "tests" / "data" / "oss-transitions.ndjson.gz"
"""Of each segment and direction a few of the transitions that the catalog `oss` finds in deploy/demo's real data."""
SEGMENTS = [segment.id for segment in load_program("default").segments]


@cache
def starter() -> Playbooks:
    return load_playbooks("starter", None)


@cache
def real() -> Pool:
    return pool_of(gzip.decompress(REAL.read_bytes()).splitlines(), None)


def told_of(play: Play) -> set[str]:
    return {play.roster.segment} if play.roster is not None else set(play.segments)


def shown(play: Play, pool: Pool, dialect: Dialect | None = None) -> list[Preview]:
    return list(previews(starter(), play, pool, dialect))


def text_of(one: Preview) -> str:
    assert one.rendered is not None, one.problem
    return f"{one.rendered.title}\n{one.rendered.body}"


@pytest.mark.parametrize("segment", SEGMENTS)
def test_every_segment_of_the_default_catalog_has_a_play(segment: str) -> None:
    assert [play.id for play in starter().plays if segment in told_of(play)]


@pytest.mark.parametrize("name", ["starter", "console"])
def test_they_fit_the_default_catalog_and_fail_on_nothing(name: str) -> None:
    found = load_playbooks(name, None, SEGMENTS, [*KEY_NUMBERS, *load_program("default").catalog.definitions])
    assert found.warnings == ()
    assert [play.id for play in found.plays] == [play.id for play in starter().plays]


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("play", starter().plays, ids=lambda play: play.id)
def test_every_message_renders_on_samples_and_on_real_transitions(play: Play, dialect: Dialect) -> None:
    """One after the other, each transition that the play would tell of is the newest."""
    for pool in (built_in(), real()):
        news = pool.for_play(play)
        assert news or pool is real()
        for number in range(max(len(news), 1)):
            upto = Pool(tuple(reversed(news[number:])), pool.made_up)
            for one in shown(play, upto, dialect):
                text = text_of(one)
                assert not re.search(r"\bNone\b|\{\{|\{%|Undefined|[({,] *[)}]| ,| \.", text), text


def test_real_transitions_are_there_for_most_segments() -> None:
    assert len(real().news) > 150
    assert len({news.segment for news in real().news} & set(SEGMENTS)) >= 20


@pytest.mark.parametrize("play", starter().plays, ids=lambda play: play.id)
def test_every_message_says_who_what_and_what_to_do_next(play: Play) -> None:
    (newest, *_) = built_in().for_play(play)
    for one in shown(play, built_in()):
        assert one.rendered is not None
        body = one.rendered.body
        assert built_in().facts(newest)["name"] in body
        assert re.search(r"^Next: |Ask for the decision|Help with", body, re.MULTILINE), body
        if one.kind == "slack" and play.cron is None:
            assert [link.label for link in one.rendered.links] == ["Open the account"]


def test_what_the_rules_saw_is_told_where_it_is_known() -> None:
    """A key that no rule writes would silently say nothing: on the samples each condition comes true."""
    told = {
        play.id: "\n".join(
            text_of(one)
            for number in range(len(built_in().for_play(play)))
            for one in shown(play, Pool(tuple(reversed(built_in().for_play(play)[number:])), made_up=True))
        )
        for play in starter().plays
    }
    facts = (
        ("call-now", "Score *10* in the last 3 days"), ("act", "in the last 7 days"), ("cool", "in the last 7 days"),
        ("save", "Last active"), ("lost", "They cancelled"), ("thank", "referrals in 90 days: 1"),
        ("upsell", "Teams active"), ("unstick", "*33.3 %* of it is done"), ("nurture", "which ended 30 days ago"),
        ("cost-to-serve", "Tickets in 30 days: *3*"), ("rescue", "MRR *900*"), ("best", "MRR 1,500"),
        ("passives", "NPS 8"), ("detractor", "NPS *3*"), ("win-back", "14 days ago"), ("dormant", "last active"),
        ("teach", "core features on 3 days"), ("trial-activated", "The trial ends on"),
        ("morning-list", "66.7 % of the checklist done"), ("onboarding-list", "66.7 % done"),
    )  # fmt: skip
    for play, fact in facts:
        assert fact in told[play], play


def test_numbers_that_lists_are_sorted_by_are_in_every_membership() -> None:
    log = Log(load_program("default"))
    log.group({}, START)
    written = decode_membership(membership_value("acme", log.account(), log.working()))
    assert set(KEY_NUMBERS) <= written.key_numbers.keys()


def test_the_morning_list_is_of_expiring_trials_by_activation_rate() -> None:
    (play,) = (play for play in starter().plays if play.id == "morning-list")
    assert play.roster is not None
    assert (play.roster.segment, play.roster.sort, play.roster.order, play.cron) == (
        "expiring_trial", "activation_rate", "desc", "0 8 * * mon-fri",
    )  # fmt: skip
    (one,) = shown(play, built_in())
    assert "New on the list: " in text_of(one)
    assert "No longer on it: " in text_of(one)


def test_nurture_goes_out_on_days_0_3_and_7_and_ends_when_it_has_worked() -> None:
    (play,) = (play for play in starter().plays if play.id == "nurture")
    assert [step.after_days for step in play.steps] == [3, 7]
    assert all(step.holds is True for step in play.steps)
    assert play.stop_on is not None
    assert (play.stop_on.exit, play.stop_on.goal) == (True, True)


def test_sales_follows_up_every_6_to_12_weeks_while_an_account_is_gone() -> None:
    (play,) = (play for play in starter().plays if play.id == "lost")
    assert [(step.after_days, step.every_days) for step in play.steps] == [(42, None), (None, 84)]
    assert play.stop_on is not None
    assert play.stop_on.exit


def test_what_would_save_is_not_said_of_the_churned() -> None:
    inhibited = {play.id for play in starter().plays if "churned" in play.inhibited_by}
    assert {"save", "cool", "win-back", "still-at-risk", "rescue", "upsell", "teach", "unstick"} <= inhibited


def test_nobody_is_called_at_night_at_weekends_or_for_the_fortieth_time() -> None:
    team = starter().destinations["team"]
    assert team.quiet_hours is not None
    assert team.quiet_hours.weekends
    assert team.group is not None
    assert team.budget_per_day == 40


def test_samples_are_what_the_default_catalog_makes_of_their_events() -> None:
    """After a change of the rules: write `samples()` to the file again."""
    kept = (files("streams.catalogs.playbooks") / "samples.ndjson").read_bytes().splitlines()
    assert kept == samples()
    assert {news.segment for news in built_in().news} == set(SEGMENTS)
