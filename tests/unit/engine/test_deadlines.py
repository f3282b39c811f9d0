"""The queue of deadlines against a plain map of them."""

from hypothesis import given
from hypothesis import strategies as st

from streams.engine.deadlines import Deadlines
from streams.engine.rules.linear import NEVER

ACCOUNTS = st.sampled_from("abcdef")
MOMENTS = st.integers(1, 6) | st.just(NEVER)
STEPS = st.tuples(st.sampled_from(["set", "forget", "aside"]), ACCOUNTS, MOMENTS) | st.integers(0, 7)


@given(st.lists(STEPS, max_size=60))
def test_everybody_comes_out_at_their_moment_and_nobody_twice(steps: list[tuple[str, str, int] | int]) -> None:
    queue, known, aside = Deadlines(), dict[str, int](), list[tuple[int, str]]()
    for step in [*steps, 7, NEVER]:
        if isinstance(step, int):
            for at, account_id in aside:
                queue.enter(account_id, at)
            aside = []
            due = {one for one, at in known.items() if at <= step}
            assert {*queue.due(step, 1_000)} == due
            assert len(queue.due(step, 1)) <= 1
            taken = []
            while queue.has_due(step):
                moment = queue.first()
                found = queue.take()
                if found is not None:
                    assert known.pop(found) == moment
                    taken.append(found)
            assert sorted(taken) == sorted(due)
        else:
            what, account_id, at = step
            if what == "forget":
                queue.forget(account_id)
                known.pop(account_id, None)
            elif what == "aside" and account_id not in known and at < NEVER:
                queue.mark(account_id, at)
                aside.append((at, account_id))
                known[account_id] = at
            else:
                queue.set(account_id, at)
                known[account_id] = at
                if at == NEVER:
                    del known[account_id]
        assert {one for one in "abcdef" if one in queue} == {*known}
        assert queue.moments == known
        assert len(queue) == len(known)
    assert (queue.first(), queue._entries, queue._heap) == (NEVER, {}, [])
