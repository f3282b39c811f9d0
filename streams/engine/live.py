"""An account in use: decoded, with its working set."""

from mypy_extensions import mypyc_attr

from streams.engine.account import Account
from streams.engine.working import Working


@mypyc_attr(acyclic=True)
class Live:
    """An account that is decoded. `scratch` is what looks at the population go by (`ranking`), until a record comes.

    `stored_bytes`: how large it was when it was stored last.
    """

    __slots__ = ("account", "scratch", "stored_bytes", "working")

    def __init__(self, account: Account, working: Working) -> None:
        self.account = account
        self.working = working
        self.scratch: Working | None = None
        self.stored_bytes = 0
