"""The map of the library, drawn in the background when asked for, and kept beside the library until that changes."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from search.errors import SnapseekError
from search.mapping import LibraryMap, Point, Region, draw_map
from search.review import hidden_images
from search.services import Services

log = logging.getLogger(__name__)

FORMAT = 1


class MapKeeper:
    """Safe for threads; one map is drawn at a time."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._file = services.config.data / "map.json"
        self._lock = threading.Lock()
        self._drawing: threading.Thread | None = None
        self._kept: tuple[str, LibraryMap] | None = None

    def current(self) -> tuple[LibraryMap | None, bool]:
        """Return the latest map, if there is one, and whether a newer one is being drawn."""
        services = self._services
        key = f"{services.catalog.version()} {services.engine.space.fingerprint} {services.policy.key}"
        with self._lock:
            if self._kept is None:
                self._kept = self._stored()
            if self._kept is not None and self._kept[0] == key:
                return self._kept[1], False
            if self._drawing is None or not self._drawing.is_alive():
                self._drawing = threading.Thread(target=self._draw, args=(key,), name="map", daemon=True)
                self._drawing.start()
            latest = None if self._kept is None else self._kept[1]
        return (None if latest is None else self._without_hidden(latest)), True

    def close(self) -> None:
        """Wait for a map that is being drawn: what it reads is about to be closed."""
        if self._drawing is not None:
            self._drawing.join()

    def _without_hidden(self, drawn: LibraryMap) -> LibraryMap:
        """Return an older map without the images that nobody is to see by now."""
        hidden = hidden_images(self._services.catalog, self._services.policy)
        gone = {record.id for record in self._services.catalog.records(list(hidden))}
        points = tuple(point for point in drawn.points if point.id not in gone)
        regions = tuple(region for region in drawn.regions if region.image not in gone)
        return replace(drawn, points=points, regions=regions)

    def _draw(self, key: str) -> None:
        try:
            drawn = draw_map(self._services.catalog, self._services.tags, self._services.engine.space)
        except SnapseekError as error:
            log.warning("the map could not be drawn: %s", error)
            return
        with self._lock:
            self._kept = key, drawn
        try:
            coming = self._file.with_suffix(".coming")
            coming.write_text(json.dumps({"format": FORMAT, "key": key, "map": asdict(drawn)}), encoding="utf-8")
            coming.replace(self._file)
        except OSError as error:
            log.warning("the map is kept in memory only: %s", error)

    def _stored(self) -> tuple[str, LibraryMap] | None:
        try:
            stored: Any = json.loads(Path(self._file).read_text(encoding="utf-8"))
            if stored["format"] != FORMAT:
                return None
            points = tuple(Point(**point) for point in stored["map"]["points"])
            regions = tuple(Region(**region) for region in stored["map"]["regions"])
            return stored["key"], LibraryMap(points, regions, stored["map"]["images"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
