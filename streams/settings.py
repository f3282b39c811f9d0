"""Every setting, where it may come from, and what is said when one is wrong.

Theory of operation. A setting has one place in a tree of two levels (`kafka.bootstrap`). Four sources may give it;
the first that does wins: options of the command line, environment variables (`PEGEL_KAFKA__BOOTSTRAP`), a directory
with a file per secret (`PEGEL_SECRETS_DIR`, files named `kafka__sasl_password`), a YAML file (`--config FILE`,
`PEGEL_CONFIG`), the default. `load` merges them, remembers which source gave what, and validates once; so an error
names the place that must be changed: the variable, or the file and its line. `Settings()` itself reads nothing: it is
the defaults, which is what tests want.
"""

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as EnvironmentFormatError
from pydantic_settings.sources import EnvSettingsSource

from streams.errors import SettingsError
from streams.runtime.options import Guarantee

ENV_PREFIX: Final = "PEGEL_"
ENV_DELIMITER: Final = "__"
CONFIG_VARIABLE: Final = "PEGEL_CONFIG"
SECRETS_VARIABLE: Final = "PEGEL_SECRETS_DIR"
CONFIG_BYTES_MAX: Final = 1 << 20
MASK: Final = "**********"

Path2 = tuple[str, ...]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=False)


class SecurityProtocol(StrEnum):
    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class SaslMechanism(StrEnum):
    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"
    OAUTHBEARER = "OAUTHBEARER"


def _readable(file: Path | None) -> Path | None:
    """A file that cannot be read is said at the start, with its place, not by a client library in the middle."""
    if file is not None:
        try:
            with file.open("rb"):
                pass
        except OSError as error:
            raise ValueError(f"{file}: {error.strerror or error}; give a file that can be read") from None
    return file


ReadableFile = Annotated[Path | None, AfterValidator(_readable)]


class KafkaSettings(_Section):
    bootstrap: str = Field(
        "127.0.0.1:9092",
        pattern=r"^[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*$",
        description="Brokers to ask first: HOST:PORT, several separated by commas.",
    )
    topic_prefix: str = Field(
        "",
        max_length=100,
        pattern=r"^[A-Za-z0-9._-]*$",
        description="Put in front of every topic, consumer group and transactional id, so that several deployments "
        "share a cluster. Taken as it is: give the separator with it, as in 'staging.'.",
    )
    partitions: int = Field(
        4,
        ge=1,
        le=1024,
        description="Partitions of a topic when it is created: the most workers of a stage that can share it.",
    )
    replication_factor: int = Field(1, ge=1, le=15, description="Copies of each partition when a topic is created.")
    min_insync_replicas: int = Field(
        1, ge=1, le=15, description="Copies that must have a record before it counts as written."
    )
    session_timeout_ms: int = Field(
        30_000,
        ge=6_000,
        le=300_000,
        description="A worker that was silent for so long loses its partitions. Short for development, longer than a "
        "restart in production.",
    )
    heartbeat_interval_ms: int = Field(
        1_000,
        ge=100,
        le=100_000,
        description="How often a worker says that it lives, and hears that another one came or went: until all have "
        "heard, partitions stand still. At most a third of the session time-out.",
    )
    request_timeout_ms: int = Field(
        10_000,
        ge=1_000,
        le=300_000,
        description="How long a command waits for the brokers before it calls them unreachable.",
    )
    security_protocol: SecurityProtocol = Field(
        SecurityProtocol.PLAINTEXT,
        description="How to talk to the brokers: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
    )
    sasl_mechanism: SaslMechanism = Field(
        SaslMechanism.SCRAM_SHA_512,
        description="How to log in where the protocol is SASL: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER.",
    )
    sasl_username: str | None = Field(None, min_length=1, description="User name for PLAIN and SCRAM.")
    sasl_password: SecretStr | None = Field(None, min_length=1, description="Password for PLAIN and SCRAM.")
    sasl_oauthbearer_token_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#@]+(/[^\s#]*)?$",
        description="OAUTHBEARER by client credentials: the address of the authority's token endpoint, https://HOST/PATH.",
    )
    sasl_oauthbearer_client_id: str | None = Field(
        None, min_length=1, description="OAUTHBEARER by client credentials: who asks for a token."
    )
    sasl_oauthbearer_client_secret: SecretStr | None = Field(
        None, min_length=1, description="OAUTHBEARER by client credentials: the secret of who asks."
    )
    sasl_oauthbearer_scope: str | None = Field(
        None,
        min_length=1,
        description="OAUTHBEARER by client credentials: the scope to ask for, if the authority wants one.",
    )
    sasl_oauthbearer_token_file: ReadableFile = Field(
        None,
        description="OAUTHBEARER by a file that somebody else keeps fresh, as Kubernetes does with the token of a "
        "service account: read anew at each login.",
    )
    ssl_ca_file: ReadableFile = Field(
        None,
        description="PEM file of the authorities to trust, for brokers and token endpoint; without it the system's.",
    )
    ssl_cert_file: ReadableFile = Field(
        None, description="PEM file of the certificate that the brokers know us by (mutual TLS), with its chain."
    )
    ssl_key_file: ReadableFile = Field(
        None, description="PEM file of the private key of ssl_cert_file; may be the same file."
    )
    ssl_key_password: SecretStr | None = Field(
        None, min_length=1, description="Password of ssl_key_file, if it is encrypted."
    )
    ssl_check_hostname: bool = Field(
        default=True,
        description="Whether a broker's certificate must be for the name by which it is called. Off, anybody with a "
        "certificate of a trusted authority can pose as a broker.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "KafkaSettings":
        if self.heartbeat_interval_ms * 3 > self.session_timeout_ms:
            raise ValueError("heartbeat_interval_ms must be at most a third of session_timeout_ms")
        if self.min_insync_replicas > self.replication_factor:
            raise ValueError("min_insync_replicas must not be greater than replication_factor")
        fault = self._login_fault() if self.uses_sasl else None
        fault = fault or self._certificate_fault()
        if fault is not None:
            raise ValueError(fault)
        return self

    def _login_fault(self) -> str | None:
        protocol = f"security_protocol {self.security_protocol}"
        if self.sasl_mechanism is not SaslMechanism.OAUTHBEARER:
            if self.sasl_username is None or self.sasl_password is None:
                return f"{protocol} with {self.sasl_mechanism} needs sasl_username and sasl_password; give both"
            return None
        if (self.sasl_oauthbearer_token_url is None) == (self.sasl_oauthbearer_token_file is None):
            return (
                f"{protocol} with OAUTHBEARER needs either sasl_oauthbearer_token_url or sasl_oauthbearer_token_file; "
                "give one of them"
            )
        if self.sasl_oauthbearer_token_url is not None and (
            self.sasl_oauthbearer_client_id is None or self.sasl_oauthbearer_client_secret is None
        ):
            return (
                "sasl_oauthbearer_token_url needs sasl_oauthbearer_client_id and sasl_oauthbearer_client_secret; "
                "give both"
            )
        return None

    def _certificate_fault(self) -> str | None:
        if self.ssl_cert_file is not None and self.ssl_key_file is None:
            return "ssl_cert_file needs ssl_key_file; give its private key (the same file, if it holds both)"
        if self.ssl_key_file is not None and self.ssl_cert_file is None:
            return "ssl_key_file needs ssl_cert_file; give the certificate of that key"
        if self.ssl_key_password is not None and self.ssl_key_file is None:
            return "ssl_key_password needs ssl_key_file; give the file that it opens, or leave the password out"
        return None

    @property
    def uses_sasl(self) -> bool:
        return self.security_protocol in (SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL)

    @property
    def uses_tls(self) -> bool:
        return self.security_protocol in (SecurityProtocol.SSL, SecurityProtocol.SASL_SSL)

    @property
    def uses_tokens(self) -> bool:
        return self.uses_sasl and self.sasl_mechanism is SaslMechanism.OAUTHBEARER

    def librdkafka(self) -> dict[str, str | int]:
        """What every librdkafka client (AdminClient, Producer, Consumer) needs to reach the brokers.

        But for the tokens of OAUTHBEARER, which are asked for and not configured: see `streams.kafka_client`.
        """
        config: dict[str, str | int] = {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": self.security_protocol.value,
        }
        if self.uses_sasl:
            config["sasl.mechanism"] = self.sasl_mechanism.value
            if not self.uses_tokens and self.sasl_username is not None and self.sasl_password is not None:
                config["sasl.username"] = self.sasl_username
                config["sasl.password"] = self.sasl_password.get_secret_value()
        return config | (self._librdkafka_tls() if self.uses_tls else {})

    def _librdkafka_tls(self) -> dict[str, str | int]:
        config: dict[str, str | int] = {}
        if not self.ssl_check_hostname:
            config["ssl.endpoint.identification.algorithm"] = "none"
        if self.ssl_ca_file is not None:
            config["ssl.ca.location"] = str(self.ssl_ca_file)
        if self.ssl_cert_file is not None:
            config |= {"ssl.certificate.location": str(self.ssl_cert_file), "ssl.key.location": str(self.ssl_key_file)}
            if self.ssl_key_password is not None:
                config["ssl.key.password"] = self.ssl_key_password.get_secret_value()
        return config

    def doubts(self) -> Iterator[str]:
        """What is allowed and probably not meant: settings that leave a door open, or that nothing reads."""
        if self.uses_tls and not self.ssl_check_hostname:
            yield (
                "kafka.ssl_check_hostname is off: whoever has any certificate of a trusted authority can pose as a "
                "broker; give the brokers certificates for their names and turn it on"
            )
        sends_secret = self.uses_tokens or self.sasl_mechanism is SaslMechanism.PLAIN
        if self.security_protocol is SecurityProtocol.SASL_PLAINTEXT and sends_secret:
            yield (
                f"kafka.security_protocol SASL_PLAINTEXT sends the secret of {self.sasl_mechanism} readable over the "
                "network; use SASL_SSL"
            )
        url = self.sasl_oauthbearer_token_url or ""
        if self.uses_tokens and url.startswith("http://"):
            yield (
                "kafka.sasl_oauthbearer_token_url is http: the client secret goes readable over the network; use https"
            )
        unused = ("sasl_username", "sasl_password", "sasl_oauthbearer_token_url", "sasl_oauthbearer_token_file")
        for name in unused if not self.uses_sasl else ():
            if getattr(self, name) is not None:
                yield f"kafka.{name} is not used: security_protocol {self.security_protocol} does not log in"
        for name in ("ssl_ca_file", "ssl_cert_file") if not (self.uses_tls or self.uses_tokens) else ():
            if getattr(self, name) is not None:
                yield f"kafka.{name} is not used: security_protocol {self.security_protocol} has no TLS"


class TopicSettings(_Section):
    event_retention_days: float | None = Field(
        None,
        gt=0,
        description="How long events are kept; nothing: for ever. Kafka counts from a record's own timestamp, which "
        "for events is their arrival: with a limit here, history that is published later is deleted within minutes.",
    )
    product_event_retention_days: float | None = Field(
        None,
        gt=0,
        description="How long events are kept as they were sent; nothing: as long as event_retention_days. State is "
        "computed from what intake made of them, so they may go earlier: longer than intake may ever be down.",
    )
    transition_retention_days: float | None = Field(400, gt=0, description="How long segment transitions are kept.")
    inbox_retention_days: float | None = Field(
        30,
        gt=0,
        description="How long the notifier keeps what is on its way to its destinations: longer than couriers may ever "
        "be down. What a courier has read is kept by itself.",
    )
    action_retention_days: float | None = Field(400, gt=0, description="How long the log of deliveries is kept.")
    dead_letter_retention_days: float | None = Field(
        30,
        gt=0,
        description="How long rejected records are kept for inspection and retry, counted from their rejection.",
    )


class RuntimeSettings(_Section):
    flush_interval_ms: int = Field(
        100,
        ge=1,
        le=60_000,
        description="What a partition has written is committed at least this often, state alone four times less often.",
    )
    instance_id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9._-]{1,200}$",
        description="Fixed name of this worker (static membership): a restart within the session time-out moves no "
        "partition.",
    )
    shutdown_timeout_s: float = Field(
        20, gt=0, le=600, description="How long a worker may take to flush and leave on SIGTERM."
    )
    stall_timeout_s: float = Field(
        60,
        ge=5,
        le=3_600,
        description="A worker ends itself when its loop, a commit, or a partition with records to read stands still "
        "for so long. Longer where brokers need longer to elect new leaders.",
    )
    silence_timeout_s: float = Field(
        300,
        ge=5,
        le=86_400,
        description="A worker ends itself when the brokers say nothing, or a rebalance does not end, for so long.",
    )
    start_timeout_s: float = Field(
        60, ge=0, le=3_600, description="How long a worker that starts waits for brokers and topics to be there."
    )
    transaction_timeout_ms: int = Field(
        30_000,
        ge=1_000,
        le=900_000,
        description="The brokers abort what a worker has begun to write and not committed after so long; until then "
        "readers wait for it. At most the brokers' transaction.max.timeout.ms.",
    )
    guarantee: Guarantee = Field(
        Guarantee.EXACTLY_ONCE,
        description="exactly_once: outputs, state and offset go in one Kafka transaction. at_least_once, for brokers "
        "without transactions: outputs, then state, then offset; after a crash outputs come again with the same ids. "
        "Stop every worker of a stage before changing it, and run 'pegel topics apply' afterwards.",
    )


class WebSettings(_Section):
    host: str = Field("127.0.0.1", min_length=1, description="Address that /metrics, /livez and /readyz listen on.")
    port: int = Field(0, ge=0, le=65_535, description="Port of the same; 0: a free one, which is printed.")


class LogFormat(StrEnum):
    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"


class LogSettings(_Section):
    format: LogFormat = Field(
        LogFormat.AUTO,
        description="json: an object a line; text: lines for eyes; auto: text at a terminal, json elsewhere.",
    )
    level: LogLevel = Field(
        LogLevel.INFO, description="debug has a line for each transition and delivery, warning only what went wrong."
    )


class TracingSettings(_Section):
    endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        description="Where spans of traced records go, by OTLP over HTTP, as in 'http://collector:4318/v1/traces'; "
        "nothing: what OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT says, else nowhere. Needs the "
        "extra 'tracing'.",
    )


class IntakeSettings(_Section):
    account_property: str | None = Field(
        None,
        pattern=r"^[^.\s][^\s]*$",
        description="Dotted path to the account id in an event that has no groupId, as in 'properties.workspace_id'.",
    )
    learn_users: bool = Field(
        default=True, description="Learn from group calls which account a user belongs to, and use it for later events."
    )
    reject_ratio_max: float = Field(
        0.5,
        gt=0,
        le=1,
        description="A partition whose share of rejected records grows beyond this stops its worker: a bad deploy of a "
        "producer is better waited out than dead-lettered.",
    )
    reject_sample_min: int = Field(1_000, ge=1, description="The share counts over at least so many records.")
    alignment_ms: int = Field(
        86_400_000,
        ge=0,
        description="A worker that catches up writes no account event after one that arrived more than so much later: "
        "its partitions wait for each other. Less is a better order, and slower: each such piece of history takes a "
        "flush. 0: off, which is right where producers key by account.",
    )


class EngagementSettings(_Section):
    catalog: str = Field(
        "default", min_length=1, description="Rules for an empty log: a built-in's name or a YAML file."
    )
    clock: Literal["wall", "log", "off"] = Field(
        "wall",
        description="What lets deadlines fire without a record: the wall clock (wall), the newest arrival in the log "
        "(log), or nothing (off).",
    )
    clock_hold_s: float = Field(
        30,
        ge=0,
        le=3_600,
        description="While history is being published (records that arrived more than five minutes ago), and "
        "so long after it, the wall clock writes no clock record: it would make the rest of that history late.",
    )
    reject_ratio_max: float = Field(
        0.5,
        gt=0,
        le=1,
        description="As for intake: what others wrote to the log may be a bad deploy too.",
    )
    reject_sample_min: int = Field(1_000, ge=1, description="The share counts over at least so many records.")
    state_version: int | None = Field(
        None,
        ge=1,
        description="The version in which accounts are stored; nothing: the newest. An older one lets workers of the "
        "version before read what this one wrote (docs/operations.md, Upgrade).",
    )


class NotifySettings(_Section):
    playbooks: Path | None = Field(
        None,
        description="Which transition goes where: a built-in (starter, console) or a YAML file; nothing: nowhere.",
    )
    max_age_h: float | None = Field(
        24, gt=0, description="Transitions older than this are not announced; nothing: all are."
    )


class LinkSettings(_Section):
    base_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        description="Where readers of messages reach 'pegel link serve', as in 'https://go.example.com'. With keys it "
        "turns the filter 'tracked' on; nothing: addresses stay as they are.",
    )
    keys: SecretStr | None = Field(
        None,
        min_length=1,
        description="Keys of signed links, ID:SECRET, several separated by commas: the first signs, all are accepted. "
        "'pegel link key ID' makes one.",
    )
    expire_days: float = Field(90, gt=0, le=3_660, description="How long a link in a message leads anywhere.")
    hosts: tuple[str, ...] = Field(
        (), description="Hosts, with all below them, that signed links may lead to; nothing: any host."
    )


class CanarySettings(_Section):
    interval_s: float = Field(
        60,
        ge=1,
        le=3_600,
        description="How often the canary's account in each partition crosses its segment.",
    )
    timeout_s: float = Field(
        60, ge=1, le=3_600, description="A crossing whose transition is not visible so long after its event is missed."
    )


class RegistrySettings(_Section):
    url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        description="Where a schema registry with Confluent's API is, for 'pegel schemas register' and 'check'. "
        "Workers ask none.",
    )
    username: str | None = Field(None, min_length=1, description="User name or key for it, if it asks for one.")
    password: SecretStr | None = Field(None, min_length=1, description="Password or secret of that user.")
    ca_file: ReadableFile = Field(None, description="PEM file of the authorities to trust; without it public ones.")
    timeout_s: float = Field(10, gt=0, le=300, description="How long one request to it may take.")

    @model_validator(mode="after")
    def _login(self) -> "RegistrySettings":
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together; give both or none")
        return self


class Settings(BaseSettings):
    """All settings. `Settings()` is the defaults; `load` reads the sources."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=False,
    )

    kafka: KafkaSettings = Field(KafkaSettings(), description="The brokers and how topics are laid out on them.")
    topics: TopicSettings = Field(TopicSettings(), description="How long each kind of topic is kept.")
    runtime: RuntimeSettings = Field(RuntimeSettings(), description="How a worker runs.")
    web: WebSettings = Field(WebSettings(), description="A worker's metrics and health pages.")
    log: LogSettings = Field(LogSettings(), description="A worker's log.")
    tracing: TracingSettings = Field(TracingSettings(), description="Spans of records that producers trace.")
    intake: IntakeSettings = Field(
        IntakeSettings(), description="Validation of events and resolution of their account."
    )
    engagement: EngagementSettings = Field(EngagementSettings(), description="Segments and time.")
    notify: NotifySettings = Field(NotifySettings(), description="Delivery of transitions.")
    links: LinkSettings = Field(LinkSettings(), description="Signed links in messages.")
    registry: RegistrySettings = Field(RegistrySettings(), description="A schema registry, where there is one.")
    canary: CanarySettings = Field(
        CanarySettings(), description="Accounts that cross a segment to show that all works."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let only arguments in: `load` reads the other sources, so that it can say what came from where."""
        return (init_settings,)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One effective setting, safe to print: a secret's value is masked."""

    name: str
    value: Any
    origin: str
    description: str


@dataclass(frozen=True, slots=True)
class Loaded:
    settings: Settings
    origins: Mapping[str, str]
    warnings: tuple[str, ...]

    def leaves(self) -> Iterator[Leaf]:
        shown = self.settings.model_dump(mode="json")
        for path, description in setting_names():
            value = shown[path[0]][path[1]]
            name = ".".join(path)
            secret = isinstance(getattr(getattr(self.settings, path[0]), path[1]), SecretStr)
            yield Leaf(name, MASK if secret else value, self.origins.get(name, "default"), description)


@dataclass(frozen=True, slots=True)
class _Source:
    """What one source gives: a tree of values, and for each leaf the words that name its place."""

    tree: dict[str, Any]
    places: dict[Path2, str]

    def place(self, path: Path2) -> str | None:
        """The place of a leaf, or of the nearest thing above it that this source gives."""
        node: Any = self.tree
        for depth, part in enumerate(path):
            if not isinstance(node, dict) or part not in node:
                return self.places.get(path[:depth]) if depth and not isinstance(node, dict) else None
            node = node[part]
        return self.places.get(path) or self.places.get(path[:1])


def setting_names() -> Iterator[tuple[tuple[str, str], str]]:
    """Path and description of every setting, in the order of declaration."""
    for section, field in Settings.model_fields.items():
        model = field.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        for name, leaf in model.model_fields.items():
            yield (section, name), leaf.description or ""


def variable_of(path: Path2) -> str:
    return ENV_PREFIX + ENV_DELIMITER.join(path).upper()


def load(config: Path | None = None, options: Mapping[str, Mapping[str, Any]] | None = None) -> Loaded:
    """Read all sources and validate. `options` come from the command line: section -> setting -> value."""
    if config is None and os.environ.get(CONFIG_VARIABLE):
        config = Path(os.environ[CONFIG_VARIABLE])
    sources = (_option_source(options or {}), _environment_source(), _secrets_source(), _file_source(config))
    merged: dict[str, Any] = {}
    for source in reversed(sources):
        merged = _merged(merged, source.tree)
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        raise SettingsError(
            "\n".join(_explained(detail, sources) for detail in error.errors(include_url=False))
        ) from None
    origins = {}
    for path, _ in setting_names():
        origin = next((place for source in sources if (place := source.place(path)) is not None), None)
        if origin is not None:
            origins[".".join(path)] = origin
    return Loaded(settings, origins, (*_misspelt_variables(), *settings.kafka.doubts()))


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        result[key] = _merged(under, value) if isinstance(value, dict) and isinstance(under, dict) else value
    return result


def _option_source(options: Mapping[str, Mapping[str, Any]]) -> _Source:
    tree = {
        section: kept
        for section, values in options.items()
        if (kept := {name: value for name, value in values.items() if value is not None})
    }
    places: dict[Path2, str] = {
        (section, name): f"option --{name.replace('_', '-')}" for section, values in tree.items() for name in values
    }
    return _Source(tree, places)


def _environment_source() -> _Source:
    source = EnvSettingsSource(Settings)
    try:
        tree = source()
    except EnvironmentFormatError as error:
        raise SettingsError(
            f"{ENV_PREFIX}*: {error}; give each setting its own variable, as in {variable_of(('kafka', 'bootstrap'))}"
        ) from None
    places: dict[Path2, str] = {}
    for name in os.environ:
        if name.upper().startswith(ENV_PREFIX):
            path = tuple(name[len(ENV_PREFIX) :].lower().split(ENV_DELIMITER))
            places[path] = name
    return _Source(tree, places)


def _secrets_source() -> _Source:
    folder = os.environ.get(SECRETS_VARIABLE)
    if not folder:
        return _Source({}, {})
    if not Path(folder).is_dir():
        raise SettingsError(f"{SECRETS_VARIABLE}: {folder} is no directory; name one, or unset the variable")
    tree: dict[str, Any] = {}
    places: dict[Path2, str] = {}
    for (section, name), _ in setting_names():
        file = Path(folder) / f"{section}{ENV_DELIMITER}{name}"
        if file.is_file():
            tree.setdefault(section, {})[name] = _text_of(file).strip()
            places[(section, name)] = str(file)
    return _Source(tree, places)


def _text_of(file: Path) -> str:
    try:
        if file.stat().st_size > CONFIG_BYTES_MAX:
            raise SettingsError(f"{file}: larger than {CONFIG_BYTES_MAX} bytes; is it the right file?")
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror or error}; give a file that can be read") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: not UTF-8 at byte {error.start}; save it as UTF-8") from None


def _file_source(file: Path | None) -> _Source:
    if file is None:
        return _Source({}, {})
    text = _text_of(file)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark is not None else str(file)
        raise SettingsError(f"{place}: not YAML: {error.problem}; correct the line") from None
    except (yaml.YAMLError, ValueError) as error:
        raise SettingsError(f"{file}: not YAML: {' '.join(str(error).split())}; correct the file") from None
    if tree is None:
        return _Source({}, {})
    if not isinstance(tree, dict):
        raise SettingsError(
            f"{file}:1: settings are a map of sections, not a {type(tree).__name__}; begin with 'kafka:'"
        )
    places: dict[Path2, str] = {}
    _note_lines(root, (), str(file), places)
    return _Source(tree, places)


def _note_lines(node: yaml.Node | None, path: Path2, file: str, places: dict[Path2, str]) -> None:
    """Remember the line of each key, two levels deep: deeper there is no setting."""
    if not isinstance(node, yaml.MappingNode) or len(path) > 1:
        return
    for key, value in node.value:
        here = (*path, str(key.value))
        places[here] = f"{file}:{key.start_mark.line + 1}"
        _note_lines(value, here, file, places)


def _explained(detail: ErrorDetails, sources: tuple[_Source, ...]) -> str:
    """One line: place, setting, reason, and what would be right."""
    path = tuple(str(part) for part in detail["loc"])
    place = next((found for source in sources if (found := source.place(path)) is not None), None)
    if place is None:
        place = next(
            (found for source in sources for key, found in source.places.items() if key[:1] == path[:1]), "settings"
        )
    name = ".".join(path[:2]) or "settings"
    if detail["type"] == "extra_forbidden":
        return f"{place}: {name} is not a setting; {_suggestion(path)}"
    reason = str(detail["msg"]).removeprefix("Value error, ")
    if len(path) == 1:  # a section's settings do not fit together: the place of the first one that it names and has
        named = ((path[0], word.strip(",;.")) for word in reason.split())
        given = (source.places[one] for one in named for source in sources if one in source.places)
        place = next(given, place)
    if detail["type"] == "string_pattern_mismatch":  # a regular expression explains nothing
        reason = f"{detail['input']!r} has not the right form"
    description = dict(setting_names()).get((path[0], path[1])) if len(path) > 1 else None
    fix = f"; expected: {description}" if description else ""
    return f"{place}: {name}: {reason}{fix}"


def _suggestion(path: Path2) -> str:
    names = [".".join(known) for known, _ in setting_names()] + list(Settings.model_fields)
    near = difflib.get_close_matches(".".join(path), names, n=1)
    return f"did you mean {near[0]}?" if near else "'pegel config show' lists all settings"


def _misspelt_variables() -> Iterator[str]:
    """A variable with one underscore where two belong would be ignored in silence."""
    known = {variable_of(path).replace(ENV_DELIMITER, "_"): variable_of(path) for path, _ in setting_names()}
    for name in sorted(os.environ):
        meant = known.get(name.upper())
        if meant is not None:
            yield f"{name} is not a setting and was ignored; did you mean {meant}?"
