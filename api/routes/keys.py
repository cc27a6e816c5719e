"""API keys, for those who may manage them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.auth import Caller, Scope, expect_key
from api.key_store import KeyStore, StoredKey
from api.schemas import KeyIn, KeyOut, KeysOut, NewKeyOut, RotationIn
from search.errors import Conflict, Forbidden, InvalidQuery, NotFound

router = APIRouter(tags=["keys"])


def get_admin(request: Request) -> Caller:
    """Return who asks, with the scope `admin`; of which libraries does not matter here."""
    caller = expect_key(request.state.caller)
    if Scope.ADMIN not in caller.scopes:
        raise Forbidden(f"this API key lacks the scope `{Scope.ADMIN}`")
    return caller


def get_store(request: Request) -> KeyStore:
    store: KeyStore = request.app.state.gate.store
    return store


AdminDep = Annotated[Caller, Depends(get_admin)]
StoreDep = Annotated[KeyStore, Depends(get_store)]
KeyIdDep = Annotated[str, Path(pattern=r"^[0-9a-f]{8}$", description="The `id` of a key")]


@router.get("/v1/keys")
def list_keys(
    caller: AdminDep, store: StoreDep, all_: Annotated[bool, Query(alias="all", description="Revoked ones too")] = False
) -> KeysOut:
    """List the keys of the server, the newest first: those of libraries that the caller's own key has."""
    known = [key for key in store.all() if _within(caller, key.libraries) and (all_ or key.revoked_at is None)]
    return KeysOut(keys=list(map(KeyOut.from_domain, known)))


@router.post("/v1/keys", status_code=201)
def create_key(caller: AdminDep, store: StoreDep, request: Request, response: Response, body: KeyIn) -> NewKeyOut:
    """Make a key. The answer tells it, and nothing does later: only its hash is kept.

    A key of some libraries makes keys of these only. Where no key is asked for yet, the first one is made by
    `snapseek keys create`.
    """
    if not request.app.state.gate.is_needed:
        raise Conflict("no key is asked for here yet: make the first one by `snapseek keys create`")
    libraries = None if body.libraries is None else frozenset(body.libraries)
    if not _within(caller, libraries):
        raise Forbidden("this API key is for some libraries; one that it makes must name `libraries` out of these")
    there = getattr(request.app.state, "libraries", None)
    for name in sorted(libraries or ()):
        if there is None or name not in there:
            raise InvalidQuery(f"there is no library {name!r} on this server")
    secret, key = store.create(
        body.name,
        frozenset(body.scopes),
        libraries=libraries,
        rate=body.rate,
        expires_at=body.expires_at,
        by=caller.name,
    )
    return _told(response, secret, key)


@router.delete("/v1/keys/{id}", status_code=204)
def revoke_key(caller: AdminDep, store: StoreDep, id: KeyIdDep) -> Response:
    """Revoke a key: it opens nothing from now on, nor does who signed in with it."""
    _managed(caller, store, id)
    store.revoke(id)
    return Response(status_code=204)


@router.post("/v1/keys/{id}/rotate")
def rotate_key(
    caller: AdminDep, store: StoreDep, response: Response, id: KeyIdDep, body: RotationIn | None = None
) -> NewKeyOut:
    """Give a key a new secret, which the answer tells; the one before opens for `grace_s` more."""
    _managed(caller, store, id)
    grace = (body or RotationIn()).grace_s
    return _told(response, *store.rotate(id, timedelta(seconds=grace)))


def _within(caller: Caller, libraries: frozenset[str] | None) -> bool:
    return caller.libraries is None or (libraries is not None and libraries <= caller.libraries)


def _managed(caller: Caller, store: KeyStore, id: str) -> None:
    if not _within(caller, store.get(id).libraries):
        raise NotFound(f"there is no API key {id}")


def _told(response: Response, secret: str, key: StoredKey) -> NewKeyOut:
    response.headers["Cache-Control"] = "no-store"
    return NewKeyOut.of(key, secret)
