"""Asks a service for pictures: several at once, not faster than allowed, within the budget, each picture once."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tenacity
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from PIL import Image

from indexer.cloud.ledger import Ledger
from indexer.cloud.service import CloudUnavailable, PictureRefused, Service
from search.profile_file import CloudOptions, Price

QUALITY = 90
PAUSE_S = 0.02
LONGEST_WAIT_S = 60.0
REMEMBERED = 512
"""Pictures of which the last answers are at hand: those of a batch, that the next task asks for."""


class _Stop(threading.Event):
    """Set when no more requests are to be made, with the error that is the reason."""

    error: CloudUnavailable | None = None

    def pause(self, seconds: float) -> None:
        self.wait(seconds)

    def because(self, error: CloudUnavailable) -> None:
        if not self.is_set():
            self.error = error
            self.set()


class Asker:
    """One service, asked for all tasks that a profile gives it."""

    def __init__(
        self,
        service: Service,
        tasks: Sequence[str],
        ledger: Ledger,
        options: CloudOptions,
        *,
        attempts: int = 5,
        pause_s: float = 1.0,
    ) -> None:
        """``attempts`` of a request that fails in passing; ``pause_s`` before the second, longer before later ones."""
        self.service = service
        self.tasks = tuple(tasks)
        self.ledger = ledger
        self.options = options
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._rate = parse(f"{options.per_second}/second")
        self._attempts = attempts
        self._growing = tenacity.wait_random_exponential(multiplier=pause_s, max=LONGEST_WAIT_S)
        self._known: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self.closed = False
        """While set nothing is asked: pictures that would need it raise CloudUnavailable."""

    def answers(self, images: Sequence[Image.Image], task: str) -> list[Any]:
        """Return the answer to a task for each picture; a PictureRefused where the service gave none.

        What one request can bring for the other tasks comes with it. Raises CloudUnavailable, BudgetReached among
        it; what was answered by then is kept and not asked again.
        """
        pictures = [self._encoded(image) for image in images]
        different = dict.fromkeys(pictures)
        if not pictures:
            return []
        stop = _Stop()
        with ThreadPoolExecutor(min(self.options.parallel, len(different))) as pool:
            futures = {jpeg: pool.submit(self._one, jpeg, task, stop) for jpeg in different}
            try:
                answers = {jpeg: future.result() for jpeg, future in futures.items()}
            except CloudUnavailable as error:
                raise stop.error or error from None
            finally:
                stop.set()
        return [answers[jpeg] for jpeg in pictures]

    def price(self, tasks: Sequence[str]) -> int:
        """Return the most that tasks of one picture may cost, in millionths."""
        return sum(self._most(request) for request in self.service.requests(tasks))

    def _most(self, request: Sequence[str]) -> int:
        return sum(self._unit(task).most for task in self.service.charged(request))

    def _unit(self, task: str) -> Price:
        name = self.service.name
        return self.options.prices.get(f"{name}.{task}") or self.options.prices[name]

    def _cost(self, tokens: tuple[int, int] | None, request: Sequence[str]) -> int:
        unit = self._unit(request[0])
        return unit.of(*tokens) if tokens is not None and unit.by_tokens else self._most(request)

    def _encoded(self, image: Image.Image) -> bytes:
        """Return what is sent: a JPEG of limited size without any metadata."""
        small = image.convert("RGB")
        small.thumbnail((self.service.side, self.service.side))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=QUALITY)
        return buffer.getvalue()

    def _one(self, jpeg: bytes, task: str, stop: _Stop) -> Any:
        picture, model = hashlib.sha256(jpeg).hexdigest(), self.service.fingerprint
        with self._lock:
            known = self._known.get(picture)
        if known is None:
            known = self.ledger.answers(picture, model)
        if task not in known:
            missing = [one for one in self.tasks if one not in known]
            for request in self.service.requests(missing):
                try:
                    known = {**known, **self._asked(jpeg, picture, request, stop)}
                except CloudUnavailable as error:
                    stop.because(error)
                    raise
        with self._lock:
            self._known[picture] = known
            while len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
        answer = known[task]
        return PictureRefused(answer["refused"]) if _is_refusal(answer) else answer

    def _asked(self, jpeg: bytes, picture: str, request: Sequence[str], stop: _Stop) -> Mapping[str, Any]:
        """Make a request, again where it fails in passing: each attempt counts for the rate and for the budget."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, CloudUnavailable) and error.passing),
            stop=lambda state: state.attempt_number >= self._attempts or stop.is_set(),
            wait=self._wait,
            sleep=stop.pause,
            reraise=True,
        )
        return retrying(self._attempt, jpeg, picture, request, stop)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Return a random wait that grows with the attempts, and not less than the service asks for."""
        error = state.outcome.exception() if state.outcome else None
        told = error.wait_s if isinstance(error, CloudUnavailable) and error.wait_s else 0.0
        return max(min(told, LONGEST_WAIT_S), self._growing(state))

    def _attempt(self, jpeg: bytes, picture: str, request: Sequence[str], stop: _Stop) -> Mapping[str, Any]:
        if self.closed:
            raise CloudUnavailable(f"{self.service.name} is not to be asked")
        while not stop.is_set() and not self._limiter.hit(self._rate, self.service.name):
            time.sleep(PAUSE_S)
        if stop.is_set():
            raise CloudUnavailable("another request ended the run")
        number = self.ledger.set_aside(self.service.name, self._most(request))
        try:
            asked = self.service.ask(jpeg, request)
        except CloudUnavailable as error:
            if not error.charged:
                self.ledger.give_back(number)
            raise
        except PictureRefused as error:
            answers = {task: {"refused": str(error)} for task in request}
            if not error.charged:
                self.ledger.give_back(number)
                return answers
            # Paid for, so noted like an answer: the same picture would be refused again.
            cost = self._cost(error.tokens, request)
        else:
            cost, told = self._cost(asked.tokens, request), {"refused": f"{self.service.source} said nothing to it"}
            answers = {task: asked.answers.get(task, told) for task in request}
        self.ledger.settle(number, cost, picture, self.service.fingerprint, answers)
        return answers


def _is_refusal(answer: Any) -> bool:
    return isinstance(answer, dict) and answer.keys() == {"refused"}
