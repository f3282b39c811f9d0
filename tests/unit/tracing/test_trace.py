"""Laws of the context: what is followed, what is left alone, and that ids are a function of the log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.inbox import Original, routed_headers
from schemas.trace import (
    TRACEPARENT,
    TRACESTATE,
    TRACESTATE_BYTES_MAX,
    TraceContext,
    carried,
    context_of,
    parse,
    state_of,
)
from streams.notify.plan.delivery import Source
from streams.tracing import follow

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{SPAN}-01".encode()
CONTEXT = TraceContext(TRACE, SPAN)
PLACES = st.tuples(st.sampled_from(["intake", "engagement", "router"]), st.integers(0, 99), st.integers(0, 1 << 62))


def test_a_valid_and_sampled_context_is_followed() -> None:
    assert parse(VALID) == CONTEXT
    assert parse(VALID[:-2] + b"03") == CONTEXT  # flags that we do not know change nothing
    assert CONTEXT.header() == VALID


@pytest.mark.parametrize(
    "header",
    [
        b"",
        VALID[:-2] + b"00",  # not sampled
        VALID[:-2] + b"02",
        VALID.upper(),
        b"01" + VALID[2:],
        b"ff" + VALID[2:],
        VALID + b"-more",
        VALID + b"\n",
        VALID[:-1],
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        b"00-" + b"g" * 32 + b"-" + b"0" * 15 + b"1-01",
        VALID.replace(b"-", b"_"),
        b"\xff" * 55,
        b"0" * 1_000_000,
    ],
)
def test_whatever_else_stands_in_the_header_is_no_context(header: bytes) -> None:
    assert parse(header) is None
    assert context_of([(TRACEPARENT, header)]) is None
    assert follow.led_to([(TRACEPARENT, header)], "engagement", 0, 0) == []


@given(st.binary(max_size=80))
def test_no_bytes_break_the_reading(header: bytes) -> None:
    assert parse(header) in (None, parse(header))


def test_a_context_that_stands_there_twice_or_without_a_value_is_none() -> None:
    assert context_of([(TRACEPARENT, VALID), (TRACEPARENT, VALID)]) is None
    assert context_of([(TRACEPARENT, None)]) is None
    assert context_of([]) is None


@given(PLACES, PLACES)
def test_a_span_is_a_function_of_its_place_and_of_nothing_else(
    one: tuple[str, int, int], other: tuple[str, int, int]
) -> None:
    assert CONTEXT.child(*one) == CONTEXT.child(*one)
    assert (CONTEXT.child(*one) == CONTEXT.child(*other)) is (one == other)
    assert parse(CONTEXT.child(*one).header()) == CONTEXT.child(*one)


@given(st.text(), PLACES)
def test_the_trace_goes_on_and_what_else_is_said_of_it_is_bounded(state: str, place: tuple[str, int, int]) -> None:
    said = state.encode("utf-8", "surrogatepass") * 20
    headers = follow.led_to([(TRACEPARENT, VALID), (TRACESTATE, said)], *place)
    assert dict(headers)[TRACEPARENT] == CONTEXT.child(*place).header()
    assert dict(headers).get(TRACESTATE, b"") == (said if len(said) <= TRACESTATE_BYTES_MAX else b"")
    assert state_of([(TRACESTATE, b"a" * (TRACESTATE_BYTES_MAX + 1))]) is None


def test_an_event_keeps_its_headers_and_comes_from_intake_if_it_is_traced() -> None:
    headers = [("a", b"1"), (TRACEPARENT, VALID), (TRACESTATE, b"v=1")]
    moved = follow.passed_on(headers, "intake", 3, 7)
    assert moved == [("a", b"1"), (TRACEPARENT, CONTEXT.child("intake", 3, 7).header()), (TRACESTATE, b"v=1")]
    unsampled = [("a", b"1"), (TRACEPARENT, VALID[:-2] + b"00")]
    assert follow.passed_on(unsampled, "intake", 3, 7) is unsampled


def test_the_courier_knows_the_routers_span_from_the_inbox_and_from_the_row_of_a_delivery() -> None:
    headers = carried(CONTEXT, None)
    inbox = routed_headers("team", Original(2, 9, 0, b"k", headers))
    found = follow.followed("courier", 5, 1_000, inbox)
    assert found is not None
    assert found.parent == CONTEXT.child("router", 2, 9)
    assert found.own == follow.at_destination(Source(2, 9, 0, b"k", b"{}", tuple(headers)), "team")
    assert found.own != follow.at_destination(Source(2, 9, 0, b"k", b"{}", tuple(headers)), "other")


def test_a_record_of_the_inbox_that_nobody_routed_is_not_followed() -> None:
    assert follow.followed("courier", 0, 0, carried(CONTEXT, None)) is None
