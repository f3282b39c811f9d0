"""The document, put together from topics, schemas, roles and the story."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from schemas.generate import CONTRACTS, json_schema
from streams.app import AGENTS, permissions_of
from streams.asyncapi.messages import BYTES, CHANNELS, CONTROLS, MESSAGES, PUBLIC, Message
from streams.asyncapi.story import Seen, tell
from streams.security.permissions import Operation, Resource
from streams.security.roles import PURPOSES, Role
from streams.settings import SaslMechanism, Settings
from streams.topics import Topics, TopicSpec, specs

ASYNCAPI_VERSION: Final = "3.0.0"
BINDING_VERSION: Final = "0.5.0"
CONTRACT_VERSION: Final = "1.0.0"
"""The major version is the `v1` in the names of topics and in `ce_type`."""
EXAMPLES_MAX: Final = 3
LINE_CHARS: Final = 120

_ROLES: Final = (
    Role.PUBLISHER, Role.INTAKE, Role.ENGAGEMENT, Role.ROUTER, Role.COURIER, Role.READER, Role.OPERATOR, Role.DLQ,
)  # fmt: skip
"""Who sends and receives; the others look at topics and their settings."""
_ACTIONS: Final = {Operation.READ: "receive", Operation.WRITE: "send"}
_ONLY: Final[Mapping[tuple[Role, str, str], tuple[str, ...]]] = {
    (Role.INTAKE, "send", "account_events"): ("accountEvent",),
    (Role.ENGAGEMENT, "send", "account_events"): ("clock", "thresholds", "catalogChange", "sketch"),
    (Role.OPERATOR, "send", "account_events"): ("catalogChange", "erase"),
    (Role.ROUTER, "send", "inbox"): ("routed",),
    (Role.OPERATOR, "send", "inbox"): ("command",),
}
"""Where a role sends but some of a channel's messages."""


def document(settings: Settings) -> dict[str, Any]:
    """The AsyncAPI document of a deployment."""
    topics = Topics(settings.kafka.topic_prefix)
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "Pegel",
            "version": CONTRACT_VERSION,
            "description": "Engagement segments of accounts, decided from product events. Values are JSON in UTF-8, "
            "header values are text in UTF-8. Read with isolation.level=read_committed: what stands in an aborted "
            "transaction was never said.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(settings),
        "channels": dict(_channels(settings, topics)),
        "operations": dict(_operations(settings, topics)),
        "components": {
            "messages": _messages(tell(topics)),
            "schemas": dict(_schemas()),
            "securitySchemes": _security_schemes(settings),
        },
    }


def rendered(settings: Settings) -> str:
    """As YAML."""
    return yaml.dump(
        document(settings),
        Dumper=_Plain,
        sort_keys=False,
        allow_unicode=True,
        width=LINE_CHARS,
        default_flow_style=False,
    )


class _Plain(yaml.SafeDumper):
    """Writes what stands in two places twice: no anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - inherited
        return True


def _servers(settings: Settings) -> dict[str, Any]:
    kafka = settings.kafka
    binding = {"kafka": {"bindingVersion": BINDING_VERSION}}
    brokers = {"brokers": {"default": "broker-1:9093", "description": "HOST:PORT of the brokers to ask first."}}
    schemes = {name: {"$ref": f"#/components/securitySchemes/{name}"} for name in _security_schemes(settings)}
    return {
        "configured": {
            "host": kafka.bootstrap,
            "protocol": "kafka-secure" if kafka.uses_tls else "kafka",
            "description": f"As the settings have it: {kafka.security_protocol}.",
            **(
                {"security": [{"$ref": f"#/components/securitySchemes/{_scheme(settings)}"}]} if kafka.uses_sasl else {}
            ),
            "bindings": binding,
        },
        "secured": {
            "host": "{brokers}",
            "protocol": "kafka-secure",
            "description": "Any cluster with TLS, by one of the ways to log in that Pegel knows.",
            "variables": brokers,
            "security": list(schemes.values()),
            "bindings": binding,
        },
    }


def _scheme(settings: Settings) -> str:
    return {
        SaslMechanism.PLAIN: "plain",
        SaslMechanism.SCRAM_SHA_256: "scramSha256",
        SaslMechanism.SCRAM_SHA_512: "scramSha512",
        SaslMechanism.OAUTHBEARER: "oauthBearer",
    }[settings.kafka.sasl_mechanism]


def _security_schemes(settings: Settings) -> dict[str, Any]:
    token_url = settings.kafka.sasl_oauthbearer_token_url or "https://authority.example.com/token"
    flows = {"clientCredentials": {"tokenUrl": token_url, "availableScopes": {}}}
    return {
        "plain": {"type": "plain", "description": "SASL/PLAIN, over TLS alone."},
        "scramSha256": {"type": "scramSha256", "description": "SASL/SCRAM-SHA-256."},
        "scramSha512": {"type": "scramSha512", "description": "SASL/SCRAM-SHA-512."},
        "oauthBearer": {"type": "oauth2", "flows": flows, "description": "SASL/OAUTHBEARER by client credentials."},
        "certificate": {"type": "X509", "description": "Mutual TLS."},
    }


def _channels(settings: Settings, topics: Topics) -> Iterator[tuple[str, Any]]:
    by_name = {spec.name: spec for spec in specs(settings)}
    for attribute, kinds in CHANNELS.items():
        spec = by_name[getattr(topics, attribute)]
        yield (
            channel_id(attribute),
            {
                "address": spec.name,
                "description": spec.purpose[0].upper() + spec.purpose[1:] + ".",
                "messages": {kind: {"$ref": f"#/components/messages/{kind}"} for kind in kinds},
                "tags": [{"name": "public" if attribute in PUBLIC else "internal"}],
                "bindings": {"kafka": _topic_binding(spec)},
            },
        )


def _topic_binding(spec: TopicSpec) -> dict[str, Any]:
    configs: dict[str, Any] = dict(spec.configs)
    configs["cleanup.policy"] = [configs["cleanup.policy"]]
    for name in ("retention.ms", "retention.bytes", "max.message.bytes"):
        configs[name] = int(configs[name])
    return {
        "topic": spec.name,
        "partitions": spec.partitions,
        "replicas": spec.replication_factor,
        "topicConfiguration": configs,
        "bindingVersion": BINDING_VERSION,
    }


def _operations(settings: Settings, topics: Topics) -> Iterator[tuple[str, Any]]:
    """From what each role must be allowed; readers are shown what is public."""
    attributes = {getattr(topics, attribute): attribute for attribute in CHANNELS}
    for role in _ROLES:
        for one in permissions_of(role, settings):
            if one.resource is not Resource.TOPIC or one.operation not in _ACTIONS:
                continue
            attribute, action = attributes[one.name], _ACTIONS[one.operation]
            if role is Role.READER and attribute not in PUBLIC:
                continue
            name = channel_id(attribute)
            yield (
                f"{role}{action.capitalize()}s{name[0].upper()}{name[1:]}",
                _operation(role, action, attribute, topics),
            )


def _operation(role: Role, action: str, attribute: str, topics: Topics) -> dict[str, Any]:
    channel = f"#/channels/{channel_id(attribute)}"
    messages = _ONLY.get((role, action, attribute), CHANNELS[attribute])
    made: dict[str, Any] = {
        "action": action,
        "channel": {"$ref": channel},
        "summary": f"Who {PURPOSES[role]}.",
        "tags": [{"name": role.value}],
        "messages": [{"$ref": f"{channel}/messages/{message}"} for message in messages],
    }
    if action == "receive" and role.value in AGENTS:
        group = {"type": "string", "enum": [topics.group(role.value)]}
        made["bindings"] = {"kafka": {"groupId": group, "bindingVersion": BINDING_VERSION}}
    return made


def _messages(story: Sequence[Seen]) -> dict[str, Any]:
    return {name: _message(name, message, story) for name, message in MESSAGES.items()}


def _message(name: str, message: Message, story: Sequence[Seen]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": name,
        "title": message.title,
        "summary": message.summary,
        "contentType": message.content_type,
        "headers": message.headers.schema(),
        "payload": _payload(message),
        "tags": [{"name": "control"}] if name in CONTROLS else [],
        "bindings": {"kafka": {"key": dict(message.key), "bindingVersion": BINDING_VERSION}},
    }
    examples = [_example(seen, message) for seen in _chosen([one for one in story if one.message == name])]
    return made | ({"examples": examples} if examples else {})


def _payload(message: Message) -> dict[str, Any]:
    payload = message.payload
    return {"$ref": f"#/components/schemas/{payload}"} if isinstance(payload, str) else dict(payload)


def _chosen(seen: Sequence[Seen]) -> list[Seen]:
    """A few that differ in more than their numbers: by direction, type, topic and headers."""
    found: dict[Any, Seen] = {}
    for one in seen:
        content = json.loads(one.value) if one.value else {}
        kind = content.get("direction") or content.get("type") or content.get("outcome"), one.channel
        if found.setdefault(kind, one) is not one and len(one.headers) > len(found[kind].headers):
            found[kind] = one
    return list(found.values())[:EXAMPLES_MAX]


def _example(seen: Seen, message: Message) -> dict[str, Any]:
    """A record; the key stands in its summary, for which AsyncAPI has no place."""
    key = "none" if seen.key is None else seen.key.decode()
    text = (seen.value or b"null").decode()
    return {
        "name": f"{seen.channel}-{seen.message}",
        "summary": f"Key: {key}",
        "headers": {name: (value or b"").decode() for name, value in seen.headers},
        "payload": text if message.content_type == BYTES else json.loads(text),
    }


def _schemas() -> Iterator[tuple[str, Any]]:
    """The contracts that a message names, and what they share, under names of their own."""
    for name in CONTRACTS:
        if any(message.payload == name for message in MESSAGES.values()):
            schema = json_schema(name)
            parts = schema.pop("$defs", {})
            for head in ("$schema", "$id"):
                schema.pop(head)
            yield name, _moved(schema, name)
            for part, content in parts.items():
                yield f"{name}.{part}", _moved(content, name)


def _moved(value: Any, contract: str) -> Any:
    """References into a contract's own definitions, as references into the document."""
    if isinstance(value, dict):
        return {
            key: f"#/components/schemas/{contract}.{content.removeprefix('#/$defs/')}"
            if key == "$ref" and isinstance(content, str)
            else _moved(content, contract)
            for key, content in value.items()
        }
    return [_moved(one, contract) for one in value] if isinstance(value, list) else value


def channel_id(attribute: str) -> str:
    """`account_events_dlq` as a document names it: accountEventsDlq."""
    first, *rest = attribute.split("_")
    return first + "".join(word.capitalize() for word in rest)
