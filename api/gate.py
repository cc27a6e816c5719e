"""Who is let in: what is asked of every request before any handler runs, of keys, sessions, rates and origins."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import auth
from api.auth import ANYONE, Caller
from api.errors import Respond
from api.key_store import SESSION, KeyStore
from api.rates import Allowance, Rates, address_of
from search.config import Config
from search.errors import Forbidden, SnapseekError, Unauthorized
from ui.rendering import COOKIE

OPEN_TO_ALL = ("/static/", "/healthz", "/readyz")
"""Neither asked for a key nor counted: the looks of the page, and what a supervisor asks."""
READING = ("GET", "HEAD", "OPTIONS")


class Gate:
    """The keys of a server and what their requests are counted by; one for each server, however many libraries."""

    def __init__(self, config: Config) -> None:
        self.store = KeyStore(config.data)
        self._named = auth.parse_keys(config.api_keys)
        self._rates = Rates(config)
        self._is_open = not auth.is_loopback(config.host)

    @property
    def is_needed(self) -> bool:
        """Whether a key is asked for: on any address but loopback, and wherever there is one."""
        return self._is_open or bool(self._named) or self.store.exists

    @property
    def has_keys(self) -> bool:
        return bool(self._named) or self.store.exists

    def close(self) -> None:
        self.store.close()
        self._rates.close()

    def admit(self, connection: HTTPConnection) -> tuple[Caller | None, Allowance | None]:
        """Return who asks, None without a key, and what is left of the rate at which they may.

        Raises Unauthorized for a wrong key, RateLimited.
        """
        address = address_of(connection.client.host if connection.client else None)
        self._rates.expect_no_guessing(address)
        key = auth.given_key(connection)
        if key is not None:
            caller: Caller | None = self._known(key, address)
        else:
            token = connection.cookies.get(COOKIE)
            caller = self._of_session(token) if token else None
        if caller is None:
            return None, self._rates.spend(f"address {address}")
        return caller, self._rates.spend(f"key {caller.id}", caller.rate)

    def sign_in(self, connection: HTTPConnection, key: str) -> str:
        """Return the token of a new session. Raises Unauthorized for a wrong key, RateLimited."""
        address = address_of(connection.client.host if connection.client else None)
        self._rates.expect_no_guessing(address)
        return self.store.begin_session(self._known(key, address), key)

    def sign_out(self, connection: HTTPConnection) -> None:
        if token := connection.cookies.get(COOKIE):
            self.store.end_session(token)

    def _known(self, key: str, address: str) -> Caller:
        caller = auth.matching(self._named, auth.digest(key)) or self.store.caller(key)
        if caller is None:
            self._rates.note_guess(address)
            raise Unauthorized("this API key is not known here")
        return caller

    def _of_session(self, token: str) -> Caller | None:
        found = self.store.session(token)
        if found is None:
            return None
        digest, caller = found
        return caller or auth.matching(self._named, digest)


class Sessions:
    """Signing in and out. Satisfies `ui.door_pages.Door`."""

    lasts_s = int(SESSION.total_seconds())

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def sign_in(self, request: Request, key: str) -> str:
        return self._gate.sign_in(request, key)

    def sign_out(self, request: Request) -> None:
        self._gate.sign_out(request)


class GateMiddleware:
    """Lets requests through with `state.caller`: who asks, or None; answers those that are not to come in."""

    def __init__(self, app: ASGIApp, gate: Gate, respond: Respond) -> None:
        self._app = app
        self._gate = gate
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(OPEN_TO_ALL):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        caller: Caller | None = ANYONE
        allowance = None
        try:
            refuse_foreign(request)
            if self._gate.is_needed:
                caller, allowance = await run_in_threadpool(self._gate.admit, request)
        except SnapseekError as error:
            await self._respond(request, error)(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller

        async def tell(message: Message) -> None:
            if allowance is not None and message["type"] == "http.response.start":
                message["headers"].extend(allowance.headers)
            await send(message)

        await self._app(scope, receive, tell)


def refuse_foreign(request: Request) -> None:
    """Refuse what another site's page makes a browser send: it adds what it knows of the person here.

    Browsers say where a request comes from (Sec-Fetch-Site; Origin where there is no TLS). A key that a program put
    into the request itself is no such addition.
    """
    if request.method in READING or request.headers.get("authorization", "").lower().startswith("bearer "):
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site:
        foreign = site not in ("same-origin", "none")
    else:
        foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if foreign:
        raise Forbidden("this request was sent by another site's page")
