"""Whose events these are: a key's own, or those of a user that it names. No key reaches what another one noted."""

from __future__ import annotations

from api.auth import Caller, Scope
from search.errors import Forbidden, InvalidQuery
from search.recommend import events
from search.recommend.events import LOCAL


def person_of(caller: Caller, user: str, key: str = "") -> str:
    """Return what a user is called in the catalogue.

    Each key has users of its own, so that nobody sees another's: the empty name is whoever holds the key. Others are
    named by the server of an application, with the scope `write`; an admin reaches those of any ``key``, by its id.
    Raises InvalidQuery for a name that cannot be, Forbidden for one that is not the caller's to name.
    """
    own = caller.id or LOCAL
    if user and user != own and Scope.WRITE not in caller.scopes and Scope.ADMIN not in caller.scopes:
        raise Forbidden("to name another user than oneself, this API key needs the scope `write`")
    if key and key != own:
        if Scope.ADMIN not in caller.scopes:
            raise Forbidden("to name the users of another key, this API key needs the scope `admin`")
        if not key.isalnum() or len(key) > 32:
            raise InvalidQuery(f"key must be the id of an API key or `{LOCAL}`, got {key[:40]!r}")
    return events.person_of(key or own, user)
