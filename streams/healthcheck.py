"""Whether the process beside it is well: `python -m streams.healthcheck [PAGE]`.

Docker can only run a command in the container; Kubernetes asks the same pages itself. Without PAGE it is `/readyz` of
the worker at the port that `PEGEL_WEB__PORT` names. Exit status: 0 well, 1 not, and what was answered on standard
output. It runs every few seconds beside each worker, so it imports nothing of Pegel.
"""

import http.client
import os
import sys
import urllib.parse
from typing import Final

TIMEOUT_S: Final = 4.0
ANSWER_BYTES_MAX: Final = 4_000
"""Docker keeps 4,096 bytes of what a check says."""


def default_page() -> str:
    return f"http://127.0.0.1:{os.environ.get('PEGEL_WEB__PORT', '0')}/readyz"


def answer(page: str, timeout_s: float = TIMEOUT_S) -> tuple[bool, str]:
    """Whether the page says 200, and what it says."""
    address = urllib.parse.urlsplit(page)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout_s)
    try:
        connection.request("GET", address.path or "/")
        response = connection.getresponse()
        text = response.read(ANSWER_BYTES_MAX).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return False, f"{page}: {str(error) or type(error).__name__}"
    finally:
        connection.close()
    return response.status == http.client.OK, f"{response.status} {text}"


def main(arguments: list[str]) -> int:
    well, said = answer(arguments[0] if arguments else default_page())
    sys.stdout.write(said + "\n")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
