"""Secrets at rest: encrypted with AES-256-GCM, bound to the row they belong to (design.md, decision 10).

A secret is stored as ``v1.<key id>.<nonce and ciphertext>``. The row's identity is part of what is authenticated, so a
ciphertext that is copied to another row does not open there. Several keys may be known: the first one encrypts, all
of them decrypt, which is how a key is replaced without a pause.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from storage.errors import ConsoleError

_VERSION = "v1"
_NONCE = 12


class KeyLost(ConsoleError):
    """What is stored cannot be opened with the keys that the console has."""

    code = "key-lost"


def seal(secrets: Mapping[str, str], row: str) -> str:
    """Return ``secrets`` encrypted for the row named ``row``; an empty mapping gives the empty text."""
    if not secrets:
        return ""
    key = _keys()[0]
    nonce = os.urandom(_NONCE)
    plain = json.dumps(dict(secrets), separators=(",", ":")).encode()
    sealed = nonce + AESGCM(key).encrypt(nonce, plain, row.encode())
    return ".".join((_VERSION, _key_id(key), base64.urlsafe_b64encode(sealed).decode()))


def unseal(stored: str, row: str) -> dict[str, str]:
    """Return the secrets of the row named ``row``; raise ``KeyLost`` where no key opens them."""
    if not stored:
        return {}
    try:
        version, key_id, text = stored.split(".")
        sealed = base64.urlsafe_b64decode(text)
        key = next(key for key in _keys() if _key_id(key) == key_id)
        if version != _VERSION:
            raise ValueError(version)
        plain = AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], row.encode())
    except (ValueError, StopIteration, InvalidTag) as error:
        raise KeyLost(
            "The stored password cannot be decrypted: the console's key for secrets is another one than when it "
            "was saved.",
            cure="Bring back the key file, or configure the task and type the password again.",
            field="password",
        ) from error
    values: dict[str, str] = json.loads(plain)
    return values


def needs_resealing(stored: str) -> bool:
    """Tell whether ``stored`` was encrypted with another key than the one that encrypts now."""
    return bool(stored) and stored.split(".")[1] != _key_id(_keys()[0])


def prefixes() -> list[str]:
    """Return how everything begins that one of the keys opens, unless it was copied from another row or cut."""
    return [f"{_VERSION}.{_key_id(key)}." for key in _keys()]


def _keys() -> list[bytes]:
    """Return the keys of 32 bytes, the one that encrypts first."""
    return [hashlib.sha256(b"backup-console secrets " + key.encode()).digest() for key in settings.SECRETS_KEYS]


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"id " + key).hexdigest()[:8]
