"""A fixed piece of the engine's work, cut into its steps, for those who count instructions, calls or memory.

A step is a function that does one pass of it and says how many units that was. What a pass needs has been made before.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from benchmarks import load
from schemas.wire import decode_event
from schemas.wire_event import WireEvent
from streams.catalogs import load_catalog
from streams.engine import codec
from streams.engine.account import Account
from streams.engine.found import Transition
from streams.engine.outgoing import emitted, membership_value, told
from streams.engine.partition import Partition
from streams.engine.program import Program, compile_catalog
from streams.engine.transitions import evaluate
from streams.engine.working import Working

TEN_SEGMENTS: Final = Path(__file__).with_name("ten_segments.yaml")
EVENTS: Final = 1_500
ACCOUNTS: Final = 30

Step = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Log:
    """Events of one partition, raw and decoded, and the rules they are applied under."""

    program: Program
    events: Sequence[load.Loaded]
    decoded: Sequence[WireEvent]

    def applied(self) -> Partition:
        partition = Partition(self.program)
        for one, event in zip(self.events, self.decoded, strict=True):
            partition.apply(one.account, event, one.raw, one.arrival_ms)
        return partition


def job_log(events: int = EVENTS, accounts: int = ACCOUNTS) -> Log:
    """The ten-segment job."""
    return _log(str(TEN_SEGMENTS), list(load.ten_segments(events, accounts)))


def mixed_log(events: int = EVENTS, accounts: int = ACCOUNTS) -> Log:
    """The default catalog over a mix of all calls."""
    return _log("default", list(load.mixed(events, accounts)))


def _log(rules: str, events: list[load.Loaded]) -> Log:
    return Log(compile_catalog(load_catalog(rules), rules), events, [decode_event(one.raw) for one in events])


def steps(log: Log) -> Mapping[str, Step]:
    """Decode, apply (which evaluates), evaluate alone, encode what goes out, encode and decode state."""
    partition = log.applied()
    transitions = [(one,) for one in partition.take_transitions()]
    stored = [(state,) for _, state in partition.take_changes()]
    found = [(name, partition.account(name)) for name in dict.fromkeys(one.account for one in log.events)]
    live = [(name, *both) for name, both in found if both is not None]
    evaluated = [(*one, ("m", "track")) for one in live]
    return {
        "decode": lambda: _each(decode_event, [(one.raw,) for one in log.events]),
        "apply": lambda: len(log.events) if log.applied() else 0,
        "evaluate": lambda: _each(evaluate, evaluated),
        "encode": lambda: _each(_encoded_transition, transitions) + _each(_encoded_membership, live),
        "store": lambda: _each(codec.encode, [(account,) for _, account, _ in live]),
        "restore": lambda: _each(codec.decode, stored),
    }


def _each(function: Callable[..., object], arguments: Sequence[tuple[Any, ...]]) -> int:
    for one in arguments:
        function(*one)
    return len(arguments)


def _encoded_transition(transition: Transition) -> bytes:
    return told(transition, _ENDING).value


def _encoded_membership(account_id: str, account: Account, working: Working) -> bytes:
    return membership_value(account_id, account, working)


_ENDING: Final = emitted(None)
LOGS: Final = {"ten segments": job_log, "default catalog": mixed_log}


def main() -> None:
    """`LOG STEP PASSES`: one pass of each step, then so many more of one; print the units of a pass."""
    name, step, passes = sys.argv[1:]
    work = steps(LOGS[name]())
    units = {one: pass_() for one, pass_ in work.items()}
    for _ in range(int(passes)):
        work[step]()
    sys.stdout.write(f"{units[step]}\n")


def count_bytecodes() -> None:
    """`LOG STEP`: print the units of one pass, and the bytecodes that the interpreter executes in it."""
    name, step = sys.argv[1:]
    work = steps(LOGS[name]())[step]
    work()
    executed = 0

    def trace(frame: FrameType, kind: str, _argument: Any) -> Any:
        nonlocal executed
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        executed += kind == "opcode"
        return trace

    sys.settrace(trace)
    try:
        units = work()
    finally:
        sys.settrace(None)
    sys.stdout.write(f"{units} {executed}\n")
