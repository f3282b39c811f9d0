"""What the runtime must be told. Pure values: the composition root makes them from the settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

COMPACTION_LAG_MS: Final = 3_600_000
"""``min.compaction.lag.ms`` of a changelog without transactions: how long a row that must be undone undoes nothing."""


class Guarantee(StrEnum):
    """What a flush is: one transaction, or steps in an order that loses nothing."""

    EXACTLY_ONCE = "exactly_once"
    AT_LEAST_ONCE = "at_least_once"


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """How every client of a worker reaches the brokers."""

    bootstrap: str
    client: Mapping[str, Any] = field(default_factory=lambda: {"security_protocol": "PLAINTEXT"}, repr=False)
    """Security arguments that consumer and producer share (``security_protocol``, ``ssl_context``, ``sasl_...``)."""
    shows_certificate: bool = False
    request_timeout_ms: int = 30_000

    def arguments(self) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.bootstrap.split(","),
            "request_timeout_ms": self.request_timeout_ms,
            **self.client,
        }


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """One worker's options. Names end in their unit."""

    kafka: KafkaAccess
    group: str
    """Consumer group, and with the partition's number the transactional id: whoever owns a partition has the same."""
    flush_interval_ms: int = 100
    session_timeout_ms: int = 30_000
    heartbeat_interval_ms: int = 1_000
    rebalance_timeout_ms: int = 60_000
    instance_id: str | None = None
    shutdown_timeout_s: float = 20.0
    web_host: str = "127.0.0.1"
    web_port: int = 0
    batch_records_max: int = 1_000
    transaction_timeout_ms: int = 30_000
    stall_timeout_s: float = 60.0
    """A loop, a commit or a lagging partition that stands still for so long ends the worker."""
    silence_timeout_s: float = 300.0
    """Brokers that do not answer, or a rebalance that does not end, for so long end the worker."""
    start_timeout_s: float = 60.0
    """Broker, topics and workers are often started together; so long a worker waits for the others."""
    guarantee: Guarantee = Guarantee.EXACTLY_ONCE

    def transactional_id(self, partition: int) -> str:
        return f"{self.group}.{partition}"
