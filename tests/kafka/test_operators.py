"""What operators say and ask, on real Kafka, with a worker that reads it."""

import asyncio
import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from streams.cli import run
from streams.dev.slack import Fault, SlackStandIn
from streams.settings import Settings
from tests.kafka.test_notifier import publish, told, wanted_ids
from tests.kafka.workers import environment, wait_for, workers

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PLAYBOOK = """\
format: 1
name: test
destinations:
  - {id: team, type: slack, url: "${TEAM_URL}", allow_http: true, rate_per_s: 100, in_flight_max: 4, timeout_s: 2}
  - {id: other, type: slack, url: "${OTHER_URL}", allow_http: true, rate_per_s: 100, timeout_s: 2}
templates:
  plain: {title: "{{ account }} {{ sequence }}", body: "{{ segment }}"}
plays:
  - {id: all, segment: "*", template: plain, destination: team, max_age_h: 8784}
  - {id: others, segment: "*", template: plain, destination: other, max_age_h: 8784}
"""


class Operator:
    """Runs commands as a person would, but for the time it takes to start an interpreter."""

    def __init__(self, settings: Settings, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in environment(settings, variables).items():
            monkeypatch.setenv(name, value)

    def says(self, *arguments: str, status: int = 0) -> str:
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as said:
            found = run(arguments)
        assert found == status, said.getvalue()
        return out.getvalue() if status == 0 else said.getvalue()

    def hears(self, *arguments: str) -> str:
        """What is said beside the output."""
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()) as said:
            assert run(arguments) == 0, said.getvalue()
        return said.getvalue()

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.says(*arguments, "--json").splitlines()]


def variables_of(tmp_path: Path, team: SlackStandIn, other: SlackStandIn) -> dict[str, str]:
    playbook = tmp_path / "playbook.yaml"
    playbook.write_text(PLAYBOOK)
    return {"PEGEL_NOTIFY__PLAYBOOKS": str(playbook), "TEAM_URL": team.url(), "OTHER_URL": other.url()}


def ids(slack: SlackStandIn) -> list[str]:
    return [str(message.delivery_id) for message in slack.messages]


async def test_an_operator_sees_what_waits_and_is_obeyed(
    deployment: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transitions = told(accounts=4, each=1)
    first, second, *_ = wanted_ids(transitions)
    async with SlackStandIn(rate_limited=False, kept_max=100) as team, SlackStandIn(rate_limited=False) as other:
        variables = variables_of(tmp_path, team, other)
        operator = Operator(deployment, variables, monkeypatch)

        def work() -> None:
            with workers(deployment, tmp_path, variables, "router", "courier") as running:
                courier = running["courier"]
                operator.says("destination", "pause", "team", "--note", "maintenance")
                publish(deployment, transitions)
                # The other destination is not held up by the one that is paused.
                wait_for(lambda: len(ids(other)) == 4, courier)
                wait_for(lambda: len(operator.rows("deliveries", "list")) == 4, courier)
                [held] = [row for row in operator.rows("destination", "list") if row["destination"] == "team"]
                assert (held["state"], held["note"], held["open"]) == ("paused", "maintenance", 4)
                assert ids(team) == []
                said = operator.hears("deliveries", "retry", second)
                assert "team is held (pause by " in said
                assert "maintenance" in said
                assert "pegel destination resume team" in said
                operator.says("deliveries", "drop", first, "--yes")
                wait_for(lambda: len(operator.rows("deliveries", "list")) == 3, courier)
                team.faults.append(Fault(status=400, body="invalid_payload"))
                operator.says("destination", "resume", "team")
                wait_for(lambda: operator.rows("deliveries", "list") == [], courier)
                assert set(ids(team)) <= set(wanted_ids(transitions)[1:])
                assert len(ids(team)) == 2
                assert "not open any more" in operator.says("deliveries", "retry", second, status=1)
                assert "there is no delivery" in operator.says("deliveries", "drop", "x", "--yes", status=1)
                assert "the playbook has no destination" in operator.says("destination", "pause", "teem", status=1)

        await asyncio.to_thread(work)
        shown = (await asyncio.to_thread(operator.rows, "deliveries", "show", first))[0]
        assert (shown["state"], [action["reason"] for action in shown["actions"]]) == ("suppressed", ["dropped"])
        ends = await asyncio.to_thread(operator.rows, "deliveries", "list", "--done", "--destination", "team")
        assert sorted(end["outcome"] for end in ends) == ["dead_lettered", "delivered", "delivered", "suppressed"]
        assert (await asyncio.to_thread(operator.rows, "destination", "test", "team"))[0]["outcome"] == "ok"
        assert "a test" in team.messages[-1].text


async def test_what_is_silenced_is_not_told_until_the_silence_ends(
    deployment: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transitions = told(accounts=1, each=2)
    async with SlackStandIn(rate_limited=False) as team, SlackStandIn(rate_limited=False) as other:
        variables = variables_of(tmp_path, team, other)
        operator = Operator(deployment, variables, monkeypatch)

        def work() -> None:
            with workers(deployment, tmp_path, variables, "router", "courier") as running:
                courier = running["courier"]
                name = operator.says("silence", "add", "--until", "2h", "--account", "account-0").strip()
                wait_for(lambda: bool(operator.rows("silence", "list")), courier)
                [row] = operator.rows("silence", "list")
                assert (row["silence"], row["account"], row["destinations"]) == (name, "account-0", ["other", "team"])
                publish(deployment, transitions[:1])
                wait_for(lambda: len(operator.rows("deliveries", "list", "--done")) == 2, courier)
                assert {one["reason"] for one in operator.rows("deliveries", "list", "--done")} == {"silenced"}
                operator.says("silence", "expire", name)
                wait_for(lambda: not operator.rows("silence", "list"), courier)
                publish(deployment, transitions[1:])
                wait_for(lambda: len(ids(team)) == len(ids(other)) == 1, courier)

        await asyncio.to_thread(work)
        assert ids(team) == wanted_ids(transitions)[1:]
