"""Tokens, signatures and pseudonyms."""

import hashlib
import hmac
import secrets


def new_token() -> str:
    """A random token for a cookie or a link: 32 bytes, URL-safe."""
    return secrets.token_urlsafe(32)


def token_digest(token: str) -> bytes:
    """What the database keeps of a token, so that a leaked table opens no session."""
    return hashlib.sha256(token.encode()).digest()


def keyed_digest(secret: bytes, purpose: str, value: str) -> str:
    """HMAC-SHA256 of a value for one purpose, in hex.

    The purpose keeps, say, pseudonyms in an export apart from access keys made of the same secret.
    """
    return hmac.new(secret, f"{purpose}:{value}".encode(), hashlib.sha256).hexdigest()


def same(a: str, b: str) -> bool:
    """Comparison that takes the same time wherever two strings differ."""
    return hmac.compare_digest(a.encode(), b.encode())


def studio_key(secret: bytes) -> str:
    """The key of the studio's link, `/studio/enter?key=...`: the same as long as the secret is."""
    return keyed_digest(secret, "studio", "key")[:32]
