"""Print the OpenAPI description of the HTTP API: `python -m api.openapi > docs/openapi.json`."""

from __future__ import annotations

import json
import sys

from api.app import with_routes
from api.routes import keys


def main() -> None:
    app = with_routes()
    app.include_router(keys.router)
    json.dump(app.openapi(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
