"""The messages of a play, each template of it on news that the play would tell of."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from schemas.playbook import Play
from schemas.transition import Direction
from streams.connectors.dialects import Dialect
from streams.connectors.message import MessageKind, Rendered
from streams.notify.plan.delivery import Delivery, Item, SinceLast, Source
from streams.notify.plan.news import News
from streams.notify.plan.owner import owner_of
from streams.notify.plan.render import TemplateProblem
from streams.notify.plan.roster import RosterMember, RosterRequest, as_news
from streams.notify.playbooks import Playbooks
from streams.notify.playbooks.samples import delivery, sample
from streams.preview.pool import KEY_NUMBERS, Pool

ITEMS_MAX = 3


@dataclass(frozen=True, slots=True)
class Preview:
    """One message. `found`: it is about news of the pool, and not about something made up in need."""

    play: str
    destination: str
    kind: str
    template: str
    step: int
    dialect: Dialect
    rendered: Rendered | None
    problem: str = ""
    found: bool = True


def previews(playbooks: Playbooks, play: Play, pool: Pool, dialect: Dialect | None = None) -> Iterator[Preview]:
    """The first message of a play and its steps, in the destination's dialect or another."""
    kind = playbooks.type_of(play.destination)
    used = dialect or kind.dialect
    matching = pool.for_play(play)
    for step, template in enumerate(play.templates):
        made = _delivery(play, template, step, matching or [_in_need(play)], pool)
        rendered, problem = None, ""
        try:
            rendered = playbooks.words[template, used].rendered(made)
        except TemplateProblem as found:
            problem = str(found)
        yield Preview(play.id, play.destination, kind.name, template, step, used, rendered, problem, bool(matching))


def _delivery(play: Play, template: str, step: int, matching: list[News], pool: Pool) -> Delivery:
    shape = _shape(play)
    items = [_item(play, one, pool) for one in matching[: 1 if shape is MessageKind.NOTE else ITEMS_MAX]]
    leading = items[0]
    made = replace(
        delivery(play, leading.news, template, shape, leading.facts),
        others=tuple(items[1:]),
        more=max(len(matching) - len(items), 0) if shape is not MessageKind.NOTE else 0,
        step=step,
    )
    if shape is not MessageKind.LIST:
        return replace(made, since_last=None)
    came = tuple(item.news.account_id for item in items[:1])
    return replace(made, since_last=SinceLast(came, ("left-since.example",), leading.news.effective_at_ms))


def _shape(play: Play) -> MessageKind:
    if play.roster is not None:
        return MessageKind.LIST
    return MessageKind.NOTE if play.cron is None else MessageKind.DIGEST


def _item(play: Play, news: News, pool: Pool) -> Item:
    facts = pool.facts(news)
    if play.roster is not None:
        numbers = dict(KEY_NUMBERS) if pool.made_up else {}
        member = RosterMember(news.account_id, news.effective_at_ms, numbers, facts, news.group)
        news = as_news(member, RosterRequest(play.id, news.segment, news.effective_at_ms), news.effective_at_ms)
    return Item(news, Source(0, 0, news.effective_at_ms, None, None), facts, owner_of(play.owner, facts))


def _in_need(play: Play) -> News:
    """For segments that no sample knows: nothing but the transition itself."""
    segment = play.roster.segment if play.roster is not None else play.segments[0]
    return sample(segment if segment != "*" else "at_risk", Direction(play.directions[0]), play.group)
