"""Passwords, tokens, signatures and pseudonyms."""

import hashlib
import hmac
import secrets
from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()  # argon2id with RFC 9106's second parameters: 64 MiB, 3 passes
# Each hashing holds 64 MiB: without a bound, a crowd at the door would use up the memory.
_hashing = BoundedSemaphore(4)


def hash_password(password: str) -> str:
    """The argon2id hash of a password, with its salt and parameters."""
    with _hashing:
        return _hasher.hash(password)


def is_password(password: str, hashed: str | None) -> bool:
    """Whether this is the password that was hashed. Without a hash it is not, after as long a time:
    how long an answer takes must not tell whether there is such an account."""
    with _hashing:
        nobodys = _nobodys_hash()  # whoever comes first waits for it, not the first nobody
        try:
            return _hasher.verify(hashed or nobodys, password) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(hashed: str) -> bool:
    """Whether a hash was made with parameters that are no longer ours."""
    return _hasher.check_needs_rehash(hashed)


@cache
def _nobodys_hash() -> str:
    return _hasher.hash(new_token())


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
