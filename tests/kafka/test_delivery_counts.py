"""How often a message arrives at providers that are strict, while they fail and the courier is killed again and again.

Where a repeat can be known - by an id that the provider keeps, or by looking it up - there is none. At a Slack webhook
there is nothing to know it by: what was under way at a kill, or taken without an answer, may stand there twice.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from streams.settings import Settings
from tests.kafka.test_notifier import publish
from tests.kafka.workers import wait_for, workers
from tests.providers import slack
from tests.providers.faults import Fault, dropped, late, status
from tests.providers.hubspot import TOKEN as HUBSPOT_TOKEN
from tests.providers.hubspot import HubspotApi
from tests.providers.server import ProviderServer
from tests.providers.slack import CHANNEL, HOOK, SlackApi
from tests.providers.slack import TOKEN as SLACK_TOKEN
from tests.providers.webhook import PATH, SECRET, WebhookReceiver
from tests.unit.notify.world import transition

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

ACCOUNTS, EACH = 10, 4
KILLS = 4
PLAYBOOK = f"""\
format: 1
name: test
destinations:
  - {{id: bot, type: slack_bot, token: "${{SLACK_TOKEN}}", channel: {CHANNEL}, api_url: "${{URL}}/api", allow_http: true, rate_per_s: 20}}
  - {{id: hook, type: slack, url: "${{URL}}{HOOK}", allow_http: true, rate_per_s: 20}}
  - {{id: endpoint, type: webhook, url: "${{URL}}{PATH}", secret: "${{SECRET}}", allow_http: true}}
  - {{id: tasks, type: hubspot_task, token: "${{HUBSPOT_TOKEN}}", url: "${{URL}}", allow_http: true, rate_per_s: 50}}
templates:
  plain: {{title: "{{{{ account }}}} {{{{ sequence }}}}", body: "{{{{ segment }}}}"}}
plays:
  - {{id: to-bot, segment: "*", template: plain, destination: bot, max_age_h: 8784}}
  - {{id: to-hook, segment: "*", template: plain, destination: hook, max_age_h: 8784}}
  - {{id: to-endpoint, segment: "*", template: plain, destination: endpoint, max_age_h: 8784}}
  - {{id: to-tasks, segment: "*", template: plain, destination: tasks, max_age_h: 8784}}
"""  # noqa: E501 - a line a destination


class WallClock:
    def __call__(self) -> float:
        return time.time()


def faults() -> list[Fault]:
    slow = [late(0.1, commit=True)]
    return [*slow * 6, dropped(commit=True), *slow * 6, status(503), status(503), *slow * 8, dropped(commit=False),
            *slow * 5, dropped(commit=True), *slow * 100]  # fmt: skip


def subjects(hubspot: HubspotApi) -> Counter[str]:
    return Counter(task.properties["hs_task_subject"] for task in hubspot.tasks.values())


async def test_nothing_is_lost_and_nothing_stands_twice_where_a_repeat_can_be_known(
    deployment: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack, "SECONDS_A_MESSAGE", 0.01)
    transitions: list[dict[str, Any]] = [
        transition(f"account-{account}", sequence, effective_at="2026-11-01T00:00:00.000Z")
        for sequence in range(1, EACH + 1)
        for account in range(ACCOUNTS)
    ]
    clock: Any = WallClock()
    chat, receiver, hubspot = SlackApi(clock), WebhookReceiver(clock), HubspotApi(clock)
    (tmp_path / "playbook.yaml").write_text(PLAYBOOK)
    async with ProviderServer(chat, receiver, hubspot) as server:
        for route in ("chat.postMessage", "webhook", "hook", "tasks.create"):
            server.script(route, *faults())
        env = {
            "PEGEL_NOTIFY__PLAYBOOKS": str(tmp_path / "playbook.yaml"), "URL": server.url(), "SECRET": SECRET,
            "SLACK_TOKEN": SLACK_TOKEN, "HUBSPOT_TOKEN": HUBSPOT_TOKEN,
        }  # fmt: skip

        def arrived() -> Sequence[int]:
            return (
                len({one.delivery_id for one in chat.channels[CHANNEL].messages}),
                len({one.delivery_id for one in chat.hook.messages}), len(receiver.received), len(subjects(hubspot)),
            )  # fmt: skip

        def run() -> None:
            with workers(deployment, tmp_path, env, "router", "courier") as running:
                courier = running["courier"]
                publish(deployment, transitions)
                for kill in range(1, KILLS + 1):
                    wait_for(lambda kill=kill: sum(arrived()) >= 25 * kill, courier)  # type: ignore[misc]
                    courier.kill()
                    courier.start()
                wait_for(lambda: min(arrived()) == len(transitions), courier, timeout_s=240)

        await asyncio.to_thread(run)
    posted = Counter(one.delivery_id for one in chat.channels[CHANNEL].messages)
    assert set(posted.values()) == {1}
    assert set(subjects(hubspot).values()) == {1}
    assert len(receiver.received) == len(transitions)
    bodies: dict[str, set[bytes]] = defaultdict(set)
    for ask in server.asked("hook"):
        bodies[ask.headers["webhook-id"]].add(ask.body)
    assert {len(each) for each in bodies.values()} == {1}, "a repeat is the same bytes"
    assert len(server.asked("hook")) > len(transitions), "there were repeats"
    # A second message of what was under way when it was killed (2 at once), or taken without an answer (twice).
    assert len(chat.hook.messages) - len(transitions) <= KILLS * 2 * 4 + 2
