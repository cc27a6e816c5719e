"""Asks a service for pictures: several at once, not faster than allowed, within the budget, each picture once."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from PIL import Image

from indexer.cloud.ledger import Ledger
from indexer.cloud.service import Asked, CloudUnavailable, PictureRefused, Service
from search.profile_file import CloudOptions, Price

QUALITY = 90
PAUSE_S = 0.02
REMEMBERED = 512
"""Pictures of which the last answers are at hand: those of a batch, that the next task asks for."""


class Asker:
    """One service, asked for all tasks that a profile gives it."""

    def __init__(self, service: Service, tasks: Sequence[str], ledger: Ledger, options: CloudOptions) -> None:
        self.service = service
        self.tasks = tuple(tasks)
        self._ledger = ledger
        self._parallel = options.parallel
        self._prices = options.prices
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._rate = parse(f"{options.per_second}/second")
        self._known: dict[str, dict[str, Any]] = {}

    def answers(self, images: Sequence[Image.Image], task: str) -> list[Any]:
        """Return the answer to a task for each picture.

        What one request can bring for the other tasks comes with it. Raises PictureRefused, CloudUnavailable and
        BudgetReached; what was answered by then is kept and not asked again.
        """
        pictures = [self._encoded(image) for image in images]
        if not pictures:
            return []
        with ThreadPoolExecutor(min(self._parallel, len(pictures))) as pool:
            futures = [pool.submit(self._one, jpeg, task) for jpeg in pictures]
            try:
                return [future.result() for future in futures]
            finally:
                for future in futures:
                    future.cancel()

    def price(self, tasks: Sequence[str]) -> int:
        """Return the most that a request for tasks of one picture may cost, in millionths."""
        return sum(self._unit(task).most for task in self.service.charged(tasks))

    def _unit(self, task: str) -> Price:
        name = self.service.name
        return self._prices.get(f"{name}.{task}") or self._prices[name]

    def _cost(self, asked: Asked, tasks: Sequence[str]) -> int:
        if asked.tokens is None:
            return self.price(tasks)
        return self._unit(tasks[0]).of(*asked.tokens)

    def _encoded(self, image: Image.Image) -> bytes:
        """Return what is sent: a JPEG of limited size without any metadata."""
        small = image.convert("RGB")
        small.thumbnail((self.service.side, self.service.side))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=QUALITY)
        return buffer.getvalue()

    def _one(self, jpeg: bytes, task: str) -> Any:
        picture, model = hashlib.sha256(jpeg).hexdigest(), self.service.fingerprint
        known = self._known.get(picture) or self._ledger.answers(picture, model)
        if task not in known:
            missing = [one for one in self.tasks if one not in known]
            known = {**known, **self._asked(jpeg, picture, model, missing)}
        self._known[picture] = known
        while len(self._known) > REMEMBERED:
            self._known.pop(next(iter(self._known)))
        if task not in known:
            raise PictureRefused(f"{self.service.name} said nothing to {task}")
        return known[task]

    def _asked(self, jpeg: bytes, picture: str, model: str, tasks: Sequence[str]) -> Mapping[str, Any]:
        while not self._limiter.hit(self._rate, self.service.name):
            time.sleep(PAUSE_S)
        number = self._ledger.set_aside(self.service.name, self.price(tasks))
        try:
            asked = self.service.ask(jpeg, tasks)
        except (PictureRefused, CloudUnavailable) as error:
            if not getattr(error, "may_be_charged", False):
                self._ledger.give_back(number)
            raise
        self._ledger.settle(number, self._cost(asked, tasks), picture, model, asked.answers)
        return asked.answers
