"""In: a request. Out: whether its form came from a page of ours, without help from the app's own settings.

A random cookie that scripts cannot read, and in each form a token made from it: another site can send neither the one
nor know the other. No key is shared, so any web process can check what another one has issued.
"""

from __future__ import annotations

import hmac
import re
import secrets
from typing import Any

from litestar import Request
from litestar.datastructures import Cookie

from litestar_queues.dashboard.refusals import RefusedError

__all__ = ("FIELD", "check_origin", "issue", "token_of")

FIELD = "csrf_token"
_COOKIE = "litestar_queues_csrf"
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_OURS = (None, "same-origin", "none")
_SENTENCE = "This form is too old or came from elsewhere, and nothing was changed. Load the page again, then try again."


def issue(request: Request[Any, Any, Any], path: str) -> tuple[str, Cookie | None]:
    """The token for the forms of a page, and the cookie to set where the browser has none yet."""
    secret = _secret_of(request)
    if secret is not None:
        return token_of(secret), None
    secret = secrets.token_urlsafe(32)
    secure = request.url.scheme == "https"
    return token_of(secret), Cookie(_COOKIE, path, secret, httponly=True, samesite="lax", secure=secure)


def check_origin(request: Request[Any, Any, Any], token: str) -> None:
    """Let a form pass that came from a page of ours.

    Raises:
        RefusedError: It did not.
    """
    secret = _secret_of(request)
    fits = secret is not None and hmac.compare_digest(token_of(secret).encode(), token.encode())
    if not fits or request.headers.get("sec-fetch-site") not in _OURS:
        raise RefusedError(403, _SENTENCE)


def token_of(secret: str) -> str:
    """The token that belongs to a cookie."""
    return hmac.digest(secret.encode(), b"litestar-queues dashboard", "sha256").hex()


def _secret_of(request: Request[Any, Any, Any]) -> str | None:
    secret = request.cookies.get(_COOKIE, "")
    return secret if _SECRET.fullmatch(secret) else None
