"""Against a broker that lets nobody in without a proof: each way in, being turned away, least privilege.

The broker is of this module's own: from jars, with TLS, SASL and access control (see `secured_broker`).
"""

import asyncio
import json
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streams.app import build_worker, permissions_of
from streams.cli import run
from streams.dev.jars import UnavailableError, find_classpath, find_java
from streams.errors import KafkaRefusedError
from streams.runtime.preflight import check_topics
from streams.security.access import client_access
from streams.security.admission import look
from streams.security.permissions import Operation, Permission, Resource
from streams.security.roles import STAGES, Role
from streams.settings import KafkaSettings, Settings, load
from streams.topics import Topics
from tests.kafka.secured_broker import KEY_PASSWORD, PASSWORD, SecuredKafka
from tests.kafka.workers import PEGEL, WorkerProcess, wait_for, wait_until_settled
from tests.toolchains import missing
from tests.unit.security.authority import CLIENT_SECRET, TokenAuthority, token_authority, unsigned_token

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

TOPICS = Topics("sec.")
PREFIXED = Settings(kafka=KafkaSettings(topic_prefix=TOPICS.prefix))
WRONG = "a-wrong-secret-that-nobody-may-read"
BOOTSTRAP = "PEGEL_KAFKA__BOOTSTRAP"
PROPAGATION_S = 20.0
EVENTS = 12

Variables = dict[str, str]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    try:
        java, classpath = find_java(), find_classpath(lambda _: None)
    except UnavailableError as error:
        missing(str(error))
    users = [*Role, "nobody"]
    broker = SecuredKafka(java=java, classpath=classpath, folder=tmp_path_factory.mktemp("secured"), users=users)
    broker.start()
    try:
        broker.enrol()
        for role in Role:
            broker.allow(role.value, permissions_of(role, PREFIXED))
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def authority() -> Iterator[TokenAuthority]:
    with token_authority() as running:
        yield running


@pytest.fixture(scope="module")
def topics(secured: SecuredKafka) -> SecuredKafka:
    """All topics are there; the administrator made them."""
    with pytest.MonkeyPatch.context() as patch:
        set_variables(patch, password(secured, "administrator"))
        assert run(["topics", "apply"]) == 0
    return secured


# -- the ways in ------------------------------------------------------------------------------------------------------


def variables(bootstrap: str, protocol: str, **more: object) -> Variables:
    named = {
        "bootstrap": bootstrap,
        "security_protocol": protocol,
        "topic_prefix": TOPICS.prefix,
        "request_timeout_ms": 10_000,
        **more,
    }
    return {f"PEGEL_KAFKA__{name.upper()}": str(value) for name, value in named.items()}


def password(broker: SecuredKafka, user: str, mechanism: str = "SCRAM-SHA-512", **more: object) -> Variables:
    given = {
        "sasl_mechanism": mechanism,
        "sasl_username": user,
        "sasl_password": PASSWORD,
        "ssl_ca_file": broker.authority.file,
    }
    return variables(broker.address("login"), "SASL_SSL", **(given | more))


def certificate(broker: SecuredKafka, user: str) -> Variables:
    identity = broker.authority.issue(user, password=KEY_PASSWORD)
    return variables(
        broker.address("mutual"), "SSL", ssl_ca_file=broker.authority.file, ssl_cert_file=identity.certificate,
        ssl_key_file=identity.key, ssl_key_password=KEY_PASSWORD,
    )  # fmt: skip


def token_file(broker: SecuredKafka, user: str, folder: Path) -> Variables:
    file = folder / f"{user}.token"
    file.write_text(unsigned_token(user) + "\n")
    return variables(
        broker.address("login"), "SASL_SSL", sasl_mechanism="OAUTHBEARER", sasl_oauthbearer_token_file=file,
        ssl_ca_file=broker.authority.file,
    )  # fmt: skip


def credentials(broker: SecuredKafka, user: str, authority: TokenAuthority, secret: str = CLIENT_SECRET) -> Variables:
    return variables(
        broker.address("login"), "SASL_SSL", sasl_mechanism="OAUTHBEARER", sasl_oauthbearer_token_url=authority.url,
        sasl_oauthbearer_client_id=user, sasl_oauthbearer_client_secret=secret, sasl_oauthbearer_scope="kafka",
        ssl_ca_file=broker.authority.file,
    )  # fmt: skip


def set_variables(patch: pytest.MonkeyPatch, given: Mapping[str, str]) -> None:
    for name in list(os.environ):
        if name.startswith("PEGEL_"):
            patch.delenv(name)
    for name, value in given.items():
        patch.setenv(name, value)


def kafka_of(patch: pytest.MonkeyPatch, given: Mapping[str, str]) -> KafkaSettings:
    set_variables(patch, given)
    return load().settings.kafka


# -- least privilege --------------------------------------------------------------------------------------------------


def events() -> bytes:
    lines = [
        {
            "type": "track",
            "event": "report_created",
            "messageId": f"m{number}",
            "userId": f"u{number % 3}",
            "receivedAt": f"2026-03-01T12:00:{number:02}Z",
            "timestamp": f"2026-03-01T12:00:{number:02}Z",
            "context": {"groupId": f"account-{number % 2}"},
        }
        for number in range(EVENTS)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


class Terminal:
    """Runs commands as somebody, in this process."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[bytes]) -> None:
        self._patch = patch
        self._capture = capture

    def run(self, given: Variables, *arguments: str, allowed: tuple[int, ...] = (0,)) -> bytes:
        """What the command writes, which must end well."""
        set_variables(self._patch, given)
        self._capture.readouterr()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            status = run(arguments)
        finally:
            for number, handler in handlers.items():  # a command is its process's last act, but here
                signal.signal(number, handler)
        printed = self._capture.readouterr()
        assert status in allowed, printed
        return printed.out


def test_the_whole_pipeline_runs_with_the_least_each_role_needs_each_by_another_way_in(
    topics: SecuredKafka, authority: TokenAuthority, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes],
) -> None:  # fmt: skip
    broker, terminal = topics, Terminal(monkeypatch, capfdbinary)
    ways = {
        "intake": password(broker, "intake", "SCRAM-SHA-256"),
        "engagement": certificate(broker, "engagement"),
        "router": token_file(broker, "router", tmp_path),
        "courier": password(broker, "courier"),
    }
    publisher, reader = password(broker, "publisher", "PLAIN"), credentials(broker, "reader", authority)
    source, dumped = tmp_path / "events.ndjson", tmp_path / "log.ndjson"
    source.write_bytes(events())
    settings = Settings(kafka=KafkaSettings(session_timeout_ms=6_000, heartbeat_interval_ms=1_000))
    with ExitStack() as stack:
        running = {}
        for stage, way in ways.items():
            running[stage] = worker = WorkerProcess(stage, settings, tmp_path, way)
            worker.start()
            stack.callback(worker.stop)
        for worker in running.values():
            wait_for(lambda worker=worker: worker.readiness().get("ready") is True, worker)  # type: ignore[misc]
        terminal.run(publisher, "publish", str(source))
        wait_until_settled(running["engagement"], EVENTS)
        dumped.write_bytes(terminal.run(reader, "dump", "account.events.v1"))
        written = terminal.run(reader, "dump", "segments.transitions.v1").splitlines()
        replayed = terminal.run({}, "replay", str(dumped)).splitlines()
        assert transitions(json.loads(line)["payload"] for line in written) == transitions(replayed)
        assert len(written) >= 2
        wait_until_settled(running["router"], len(written))
        wait_until_settled(running["courier"], 0)
        operator = password(broker, "operator")
        terminal.run(operator, "catalog", "apply", "default", "--yes")
        assert b'"default"' in terminal.run(operator, "catalog", "history", "--json")
        terminal.run(password(broker, "canary"), "canary", "--once")
        terminal.run(operator, "destination", "pause", "team")
        terminal.run(operator, "deliveries", "list", "--json")
        terminal.run(operator, "deliveries", "list", "--done")
        terminal.run(password(broker, "dlq"), "dlq", "retry", "product", "--yes")
        found = terminal.run(password(broker, "doctor"), "doctor", "--json", allowed=(0, 1))
        assert b"authoriz" not in found.lower()
        source.write_bytes(events().replace(b"12:00", b"13:00").replace(b'"m', b'"n'))
        lost = Permission(Resource.TOPIC, TOPICS.accounts_changelog, Operation.WRITE)
        broker.forbid("engagement", lost)
        try:
            terminal.run(publisher, "publish", str(source))
            assert running["engagement"].wait(60) == 70, running["engagement"].log()
            assert f"does not allow this user {lost}" in running["engagement"].log()
        finally:
            broker.allow("engagement", [lost])


def transitions(payloads: Any) -> list[tuple[str, int, str]]:
    found = [json.loads(one) for one in payloads]
    return sorted((one["account_id"], one["sequence"], one["transition_id"]) for one in found)


@pytest.mark.parametrize("role", STAGES)
def test_a_worker_that_lacks_any_one_permission_is_told_which(
    topics: SecuredKafka, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, password(topics, role.value))
    worker = build_worker(role.value, load().settings)

    def refused() -> str | None:
        try:
            asyncio.run(check_topics(worker.spec, replace(worker.options, start_timeout_s=0)))
        except KafkaRefusedError as error:
            return str(error)
        return None

    eventually(lambda: refused() is None)
    for needed in permissions_of(role, PREFIXED):
        topics.forbid(role.value, needed)
        try:
            eventually(lambda: refused() is not None)
            said = refused()
            assert said is not None
            assert f"does not allow this user {needed}; what it needs is listed by: pegel topics acls {role}" in said
        finally:
            topics.allow(role.value, [needed])
        eventually(lambda: refused() is None)


def eventually(condition: Callable[[], bool]) -> None:
    """A change of permissions is known to the controller first and to the broker a little later."""
    end = time.monotonic() + PROPAGATION_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


COMMANDS: dict[Role, tuple[str, ...]] = {
    Role.ADMINISTRATOR: ("topics", "apply"),
    Role.PUBLISHER: ("publish", os.devnull),
    Role.OPERATOR: ("catalog", "apply", "default", "--yes"),
    Role.READER: ("dump", "segments.transitions.v1"),
}
LACKING: tuple[tuple[Role, Resource, str, Operation], ...] = (
    (Role.ADMINISTRATOR, Resource.TOPIC, TOPICS.actions, Operation.ALTER_CONFIGS),
    (Role.PUBLISHER, Resource.TOPIC, TOPICS.product_events, Operation.WRITE),
    (Role.OPERATOR, Resource.TOPIC, TOPICS.catalogs, Operation.WRITE),
    (Role.OPERATOR, Resource.TRANSACTIONAL_ID, f"{TOPICS.group('control')}.", Operation.WRITE),
    (Role.READER, Resource.TOPIC, TOPICS.transitions, Operation.READ),
)


@pytest.mark.parametrize(("role", "resource", "name", "operation"), LACKING)
def test_a_command_that_lacks_a_permission_says_so_with_the_way_out(
    topics: SecuredKafka, role: Role, resource: Resource, name: str, operation: Operation,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    set_variables(monkeypatch, password(topics, role.value))
    (lost,) = [
        one
        for one in permissions_of(role, PREFIXED)
        if (one.resource, one.name, one.operation) == (resource, name, operation)
    ]
    topics.forbid(role.value, lost)
    try:
        eventually(lambda: run(COMMANDS[role]) == 3)
    finally:
        topics.allow(role.value, [lost])
    said = capfd.readouterr().err.strip().splitlines()[-1]
    assert "does not allow this user" in said
    assert "pegel topics acls" in said
    eventually(lambda: run(COMMANDS[role]) == 0)


# -- turned away ------------------------------------------------------------------------------------------------------

Way = Callable[[SecuredKafka, TokenAuthority], Variables]


def _wrong_name(broker: SecuredKafka, _: TokenAuthority) -> Variables:
    return password(broker, "doctor") | {BOOTSTRAP: broker.address("login", "localhost")}


def _stranger(broker: SecuredKafka, _: TokenAuthority) -> Variables:
    identity = broker.stranger.issue("reader-of-strangers")
    return variables(
        broker.address("mutual"), "SSL", ssl_ca_file=broker.authority.file, ssl_cert_file=identity.certificate,
        ssl_key_file=identity.key,
    )  # fmt: skip


REFUSED: dict[str, tuple[Way, str]] = {
    "wrong password, PLAIN": (
        lambda broker, _: password(broker, "reader", "PLAIN", sasl_password=WRONG),
        "Invalid username or password; correct kafka.sasl_username and kafka.sasl_password",
    ),
    "wrong password, SCRAM": (
        lambda broker, _: password(broker, "reader", "SCRAM-SHA-256", sasl_password=WRONG),
        "invalid credentials with SASL mechanism SCRAM-SHA-256; correct kafka.sasl_username",
    ),
    "unknown user": (lambda broker, _: password(broker, "stranger"), "correct kafka.sasl_username"),
    "wrong client secret": (
        lambda broker, authority: credentials(broker, "reader", authority, WRONG),
        "/token: answers 401 (invalid_client); correct kafka.sasl_oauthbearer_*",
    ),
    "unknown authority": (
        lambda broker, _: password(broker, "reader", ssl_ca_file=broker.stranger.file),
        "its certificate cannot be trusted: self-signed certificate in certificate chain; give the authority",
    ),
    "wrong name": (_wrong_name, "Hostname mismatch"),
    "wrong name in what the brokers tell": (
        lambda broker, _: password(broker, "reader") | {BOOTSTRAP: broker.address("astray")},
        "(the brokers tell clients this address)",
    ),
    "expired": (
        lambda broker, _: password(broker, "reader") | {BOOTSTRAP: broker.address("stale")},
        "certificate has expired; renew the broker's certificate",
    ),
    "no certificate of ours": (
        lambda broker, _: variables(broker.address("mutual"), "SSL", ssl_ca_file=broker.authority.file),
        "it asks for a certificate of ours; give kafka.ssl_cert_file and kafka.ssl_key_file",
    ),
    "certificate of a stranger": (_stranger, "it does not accept our certificate"),
    "plain text to TLS": (
        lambda broker, _: variables(broker.address("login"), "PLAINTEXT", request_timeout_ms=1_000),
        "a listener that does not speak PLAINTEXT hung up; set kafka.security_protocol",
    ),
    "no login where one is wanted": (
        lambda broker, _: variables(broker.address("login"), "SSL", ssl_ca_file=broker.authority.file),
        "a listener that does not speak SSL hung up; set kafka.security_protocol",
    ),
    "TLS to plain text": (
        lambda broker, _: password(broker, "reader") | {BOOTSTRAP: broker.bootstrap},
        "the connection was closed during the TLS handshake; set kafka.security_protocol",
    ),
}


@pytest.mark.parametrize(("way", "said"), REFUSED.values(), ids=REFUSED)
def test_whoever_is_turned_away_is_told_why_and_what_to_change(
    secured: SecuredKafka, authority: TokenAuthority, way: Way, said: str,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    set_variables(monkeypatch, way(secured, authority))
    assert run(["topics", "show"]) == 3

    printed = capfd.readouterr()
    (line,) = [line for line in printed.err.splitlines() if "warning:" not in line]
    assert said in line
    assert WRONG not in printed.err + printed.out


def test_a_token_that_the_brokers_do_not_accept_is_no_login(
    secured: SecuredKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    given = token_file(secured, "reader", tmp_path)
    (tmp_path / "reader.token").write_text("not.signed.atall")
    set_variables(monkeypatch, given)

    assert run(["topics", "show"]) == 3
    assert "does not accept the token (invalid_token)" in capfd.readouterr().err


def test_a_name_in_the_certificate_that_does_not_fit_is_taken_only_where_that_is_said(
    secured: SecuredKafka, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], authority: TokenAuthority
) -> None:
    set_variables(monkeypatch, _wrong_name(secured, authority) | {"PEGEL_KAFKA__SSL_CHECK_HOSTNAME": "false"})

    assert run(["topics", "show"]) == 0
    assert "warning: kafka.ssl_check_hostname is off" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["wrong password, PLAIN", "wrong client secret"])
def test_a_worker_that_is_turned_away_ends_with_3_and_one_line_without_the_secret(
    secured: SecuredKafka, authority: TokenAuthority, name: str
) -> None:
    way, said = REFUSED[name]
    done = subprocess.run(
        [*PEGEL, "worker", "intake"], env=os.environ | way(secured, authority), capture_output=True, timeout=120,
        check=False,
    )  # fmt: skip
    printed = (done.stdout + done.stderr).decode()

    assert done.returncode == 3, printed
    assert said in printed.splitlines()[-1]
    assert "Traceback" not in printed
    assert WRONG not in printed


@pytest.mark.parametrize("end", ["let in", "turned away"])
def test_not_even_at_its_lowest_level_does_the_log_hold_a_password_or_token(
    secured: SecuredKafka, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    good = end == "let in"
    bearer = token_file(secured, "reader", tmp_path)
    token = (tmp_path / "reader.token").read_text().strip()
    if not good:
        token = unsigned_token("reader", scope="x" * 40, exp="never")
        (tmp_path / "reader.token").write_text(token)
    ways = (password(secured, "reader", "PLAIN", sasl_password=PASSWORD if good else WRONG), bearer)
    for way in ways:
        kafka = kafka_of(monkeypatch, way)
        try:
            asyncio.run(look(client_access(kafka), (), ()))
        except KafkaRefusedError:
            assert not good
        else:
            assert good

    assert "ApiVersionRequest" in caplog.text
    for secret in (PASSWORD, WRONG, token, token.split(".")[1]):
        assert secret not in caplog.text
