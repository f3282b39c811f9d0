"""Topics and principals as resources of Strimzi, for clusters where its operators lay them out (`kafka.strimzi.io/v1`).

The same definitions as behind `pegel topics apply` and `pegel topics acls`, in other words; nothing is decided here.
A resource's name must be a DNS name, a topic's need not: where the two differ the topic's own stands in the resource.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import yaml

from streams.security.permissions import Permission, Resource, by_thing
from streams.topics import TopicSpec

API_VERSION: Final = "kafka.strimzi.io/v1"
CLUSTER_LABEL: Final = "strimzi.io/cluster"
TYPES: Final = {
    Resource.TOPIC: "topic",
    Resource.GROUP: "group",
    Resource.TRANSACTIONAL_ID: "transactionalId",
    Resource.CLUSTER: "cluster",
}


def topic_resource(spec: TopicSpec, cluster: str) -> dict[str, Any]:
    name = resource_name(spec.name)
    named = {} if name == spec.name else {"topicName": spec.name}
    shape = {"partitions": spec.partitions, "replicas": spec.replication_factor, "config": spec.configs}
    return {**_head("KafkaTopic", name, cluster), "spec": named | shape}


def user_resource(name: str, permissions: Iterable[Permission], cluster: str) -> dict[str, Any]:
    """A principal. The operator makes a password and puts it into a Secret of the same name."""
    acls = [
        {
            "resource": {"type": TYPES[resource], "name": thing, "patternType": "prefix" if prefixed else "literal"},
            "operations": [operation.value for operation in operations],
        }
        for (resource, thing, prefixed), operations in by_thing(permissions).items()
    ]
    spec = {"authentication": {"type": "scram-sha-512"}, "authorization": {"type": "simple", "acls": acls}}
    return {**_head("KafkaUser", resource_name(name), cluster), "spec": spec}


def resource_name(name: str) -> str:
    return re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip(".-")


def as_yaml(resource: dict[str, Any], purpose: str) -> str:
    """One document of a file of many."""
    return f"---\n# {purpose}\n{yaml.safe_dump(resource, sort_keys=False, width=120)}"


def _head(kind: str, name: str, cluster: str) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, "labels": {CLUSTER_LABEL: cluster}}}
