"""`python -m deploy.grafana`: write the dashboards that are committed beside this file."""

import sys
from pathlib import Path

from deploy.grafana.documents import committed

HERE = Path(__file__).parent


def main() -> None:
    for name, content in committed():
        path = HERE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != content:
            path.write_text(content)
            sys.stderr.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
