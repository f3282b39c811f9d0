"""The tables of docs/consuming.md and docs/publishing.md, made of what the AsyncAPI document is made of.

`python -m streams.asyncapi.pages` writes them anew in a checkout; a test holds the pages to it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from streams import limits
from streams.asyncapi.messages import CHANNELS, MESSAGES, PUBLIC
from streams.settings import Settings
from streams.topics import DAY_MS, NAMES, Cleanup, TopicSpec, specs

DOCS: Final = Path(__file__).parents[2] / "docs"
BEGIN: Final = r"(<!-- (\w+): made by `python -m streams\.asyncapi\.pages`; a test holds it current\. -->)"
PAGES: Final = ("consuming.md", "publishing.md")


def with_tables(page: str) -> str:
    """The page with every table between `<!-- NAME: made by ... -->` and `<!-- end -->` made anew."""

    def made(found: re.Match[str]) -> str:
        return f"{found[1]}\n{TABLES[found[2]]()}\n{found[3]}"

    return re.sub(BEGIN + r"\n.*?(<!-- end -->)", made, page, flags=re.DOTALL)


def _topics() -> str:
    by_name = {spec.name: spec for spec in specs(Settings())}
    rows = [
        (f"`{NAMES[attribute]}`", by_name[NAMES[attribute]].purpose, _keys(kinds), _kept(by_name[NAMES[attribute]]))
        for attribute, kinds in CHANNELS.items()
        if attribute in PUBLIC
    ]
    return _table(("topic", "holds", "key", "kept"), rows)


def _keys(kinds: Iterable[str]) -> str:
    said = {
        "productEvent": "any", "accountEvent": "account", "transition": "account", "membership": "account",
        "action": "account", "catalog": "content hash",
    }  # fmt: skip
    return ", ".join(dict.fromkeys(said[kind] for kind in kinds if kind in said))


def _kept(spec: TopicSpec) -> str:
    if spec.cleanup is Cleanup.COMPACT:
        return "the newest of each key (compacted)"
    return "for ever" if spec.retention_ms < 0 else f"{spec.retention_ms // DAY_MS} days"


def _headers() -> str:
    headers = MESSAGES["transition"].headers
    rows = []
    for always, named in ((True, headers.always), (False, headers.sometimes)):
        for name, schema in named.items():
            fixed = f"`{schema['const']}`" if "const" in schema else ""
            words = schema.get("description", "")
            rows.append((f"`{name}`", "always" if always else "sometimes", ". ".join(filter(None, (fixed, words)))))
    return _table(("header", "", "says"), rows)


def _limits() -> str:
    rows = [
        ("a record's value", f"{limits.RECORD_BYTES_MAX >> 20} MiB", "`too_large`"),
        ("its nesting", f"{limits.JSON_DEPTH_MAX} levels", "`too_deep`"),
        ("its keys", f"{limits.JSON_KEYS_MAX:,}", "`too_many_keys`"),
        ("an account's id", f"{limits.ACCOUNT_ID_CHARS_MAX} characters", "`account_too_long`"),
        (
            "headers",
            f"{limits.HEADERS_MAX}, {limits.HEADERS_BYTES_MAX >> 10} KiB in all",
            "what is beyond is not passed on",
        ),
        (
            "known message ids",
            f"{limits.MESSAGE_IDS_MAX} an account, {limits.MESSAGE_ID_AGE_MAX_MS // 3_600_000} hours",
            "an older repeat counts again",
        ),
        ("lateness of activity", f"{limits.RETENTION_DAYS} days", "copied to `account.events.v1.late`, not applied"),
    ]
    return _table(("of", "at most", "beyond it"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, tuple("---" for _ in head), *rows))


TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "topics": _topics,
    "headers": _headers,
    "limits": _limits,
}

if __name__ == "__main__":
    for name in PAGES:
        file = DOCS / name
        file.write_text(with_tables(file.read_text("utf-8")), "utf-8")
