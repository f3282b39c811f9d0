"""`pegel topics`: lay the topics out on a cluster, and see how they lie there."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, say, settings_for
from streams.security.roles import Role

if TYPE_CHECKING:
    from streams.topic_admin import Change, TopicState
    from streams.topics import TopicSpec

app = typer.Typer(no_args_is_help=True)


@app.callback()
def topics() -> None:
    """Create, alter and show Pegel's topics."""


@app.command()
def apply(
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    grow: Annotated[
        bool,
        typer.Option(
            "--grow", help="Add missing partitions. Accounts move to other partitions: drain the topics first."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change; exit 1 if anything.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Create topics that are missing and alter those that differ.

    Exits with 1 when a difference is left.
    """
    from streams.topic_admin import Outcome, TopicAdmin  # noqa: PLC0415
    from streams.topics import specs  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    wanted = specs(settings)
    changes = TopicAdmin(settings.kafka).apply(wanted, grow=grow, dry_run=dry_run)
    for change in changes:
        sys.stdout.write((json.dumps(_row(change), ensure_ascii=False) if as_json else _line(change)) + "\n")
    left = [change for change in changes if change.outcome in (Outcome.LEFT_ALONE, Outcome.PLANNED)]
    say(f"{len(wanted)} topics at {settings.kafka.bootstrap}: {len(changes)} differences, {len(left)} left")
    raise typer.Exit(1 if left else 0)


@app.command()
def show(config: ConfigOption = None, bootstrap: BootstrapOption = None, as_json: JsonOption = False) -> None:
    """List Pegel's topics as the cluster has them, and what differs from their definition."""
    from streams.topic_admin import TopicAdmin, differences  # noqa: PLC0415
    from streams.topics import specs  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    wanted = specs(settings)
    states = TopicAdmin(settings.kafka).read([spec.name for spec in wanted])
    width = max(len(spec.name) for spec in wanted)
    for spec in wanted:
        state = states.get(spec.name)
        differing = [f"{one.setting} is {one.found}, not {one.wanted}" for one in differences(spec, state)]
        if as_json:
            row = {"topic": spec.name, "exists": state is not None, **_figures(spec, state), "differences": differing}
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        else:
            sys.stdout.write(f"{spec.name:<{width}}  {_standing(state, differing)}  # {spec.purpose}\n")


@app.command()
def acls(
    role: Annotated[
        Role | None,
        typer.Argument(metavar="[ROLE]", help=f"One of {', '.join(Role)}; all without.", show_default=False),
    ] = None,
    principal: Annotated[
        str, typer.Option(metavar="TYPE:NAME", help="Who is to be allowed; {role} stands for the role.")
    ] = "User:pegel-{role}",
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the least that each role must be allowed on the brokers, as arguments of Kafka's kafka-acls.sh.

    Asks no broker; the lists follow the settings (kafka.topic_prefix, runtime.guarantee).
    """
    from streams.app import permissions_of  # noqa: PLC0415
    from streams.security.roles import PURPOSES, as_row, kafka_acls  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    for one in Role if role is None else (role,):
        who, needed = principal.replace("{role}", one.value), permissions_of(one, settings)
        if as_json:
            lines = [json.dumps({"role": one.value, "principal": who, **as_row(entry)}) for entry in needed]
        else:
            lines = [f"# {one.value}: {PURPOSES[one]}", *kafka_acls(who, needed)]
        sys.stdout.write("\n".join(lines) + "\n")


@app.command()
def strimzi(
    cluster: Annotated[str, typer.Option(metavar="NAME", help="The Kafka resource that they belong to.")] = "kafka",
    user: Annotated[
        str, typer.Option(metavar="NAME", help="Who is to be allowed; {role} stands for the role.")
    ] = "pegel-{role}",
    config: ConfigOption = None,
) -> None:
    """Write topics and the principals of all roles as KafkaTopic and KafkaUser, for Strimzi's operators.

    Asks no broker; the resources follow the settings, as 'apply' and 'acls' do.
    """
    from streams.app import permissions_of  # noqa: PLC0415
    from streams.security.roles import PURPOSES  # noqa: PLC0415
    from streams.strimzi import as_yaml, topic_resource, user_resource  # noqa: PLC0415
    from streams.topics import specs  # noqa: PLC0415

    settings = settings_for(config)
    for spec in specs(settings):
        sys.stdout.write(as_yaml(topic_resource(spec, cluster), spec.purpose))
    for role in Role:
        name = user.replace("{role}", role.value)
        sys.stdout.write(as_yaml(user_resource(name, permissions_of(role, settings), cluster), PURPOSES[role]))


def _standing(state: "TopicState | None", differing: list[str]) -> str:
    if state is None:
        return "missing"
    cleanup, retention = state.configs.get("cleanup.policy", "?"), _days(state.configs.get("retention.ms"))
    verdict = "; ".join(differing) or "as defined"
    return f"{state.partitions:>4} x {state.replication_factor} {cleanup:<8} {retention:<8}  {verdict}"


def _figures(spec: "TopicSpec", state: "TopicState | None") -> dict[str, object]:
    return {
        "partitions": state.partitions if state else None,
        "replication_factor": state.replication_factor if state else None,
        "configs": {name: state.configs.get(name) for name in spec.configs} if state else {},
        "purpose": spec.purpose,
    }


def _days(retention_ms: str | None) -> str:
    if retention_ms is None:
        return "?"
    return "forever" if int(retention_ms) < 0 else f"{int(retention_ms) / 86_400_000:g} d"


def _row(change: "Change") -> dict[str, object]:
    one = change.difference
    return {
        "topic": one.topic,
        "difference": one.kind.value,
        "setting": one.setting,
        "found": one.found,
        "wanted": one.wanted,
        "outcome": change.outcome.value,
        "reason": change.reason,
    }


def _line(change: "Change") -> str:
    one = change.difference
    what = one.wanted if one.found is None else f"{one.setting}: {one.found} -> {one.wanted}"
    reason = f" ({change.reason})" if change.reason else ""
    return f"{change.outcome.value:<10}  {one.topic}  {what}{reason}"
