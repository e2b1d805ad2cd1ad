"""Where a request comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings


def address_in(meta: Mapping[str, Any]) -> str:
    """Return the address a request came from; a proxy's header counts only where a proxy is declared."""
    if settings.TRUSTED_PROXY:
        forwarded = str(meta.get("HTTP_X_FORWARDED_FOR", "")).split(",")[-1].strip()
        if forwarded:
            return forwarded[:64]
    return str(meta.get("REMOTE_ADDR", ""))[:64]
