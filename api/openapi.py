"""Print the OpenAPI description of the HTTP API: `python -m api.openapi > docs/openapi.json`."""

from __future__ import annotations

import json
import sys

from api.app import with_routes


def main() -> None:
    json.dump(with_routes().openapi(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
