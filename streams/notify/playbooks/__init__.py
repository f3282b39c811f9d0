"""Playbooks from their files: read, laid over what they extend, given their secrets, checked as a whole.

`document` reads YAML and remembers the line of every entry, `substitute` puts values for `${VARIABLE}`, `load`
validates and finds every problem, not only the first; `samples` tries each template before it is needed at night.
"""

from streams.notify.playbooks.load import BUILT_IN, Playbooks, load_playbooks
from streams.notify.playbooks.problems import PlaybookError, Problem

__all__ = ["BUILT_IN", "PlaybookError", "Playbooks", "Problem", "load_playbooks"]
