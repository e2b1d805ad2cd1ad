"""Who may read what is not for strangers: a bearer of the token, or a machine of a network that is named."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.request import split_domain_port
from django.utils.crypto import constant_time_compare

from tasks.audit import address_of

# What proxies add. Without TRUSTED_PROXY none of them is believed, but each says that the caller is somebody else than
# the address of the connection.
_FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Real-IP", "Via")


def may_read(request: HttpRequest) -> bool:
    """Tell whether the request shows ``METRICS_TOKEN``, or comes from one of ``METRICS_NETWORKS``."""
    return _has_token(request) or _is_near(request)


def _has_token(request: HttpRequest) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    token = settings.METRICS_TOKEN
    return bool(token) and scheme.lower() == "bearer" and constant_time_compare(given.strip(), token)


def _is_near(request: HttpRequest) -> bool:
    """Believe an address only where it is that of the caller, and not that of a proxy which serves the world."""
    if _hidden_by_proxy(request) or not _called_rightly(request):
        return False
    try:
        address = ip_address(address_of(request))
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in settings.METRICS_NETWORKS)


def _hidden_by_proxy(request: HttpRequest) -> bool:
    """Tell whether a proxy stands in front and does not say whom it serves, or is not to be believed.

    It is known by what it adds, or by the settings, as one may add nothing to requests.
    """
    said = any(name in request.headers for name in _FORWARDED)
    if settings.TRUSTED_PROXY:
        return said and not request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return said or settings.HTTPS or bool(settings.CSRF_TRUSTED_ORIGINS)


def _called_rightly(request: HttpRequest) -> bool:
    """Tell whether the host is one of ``ALLOWED_HOSTS``, or an address, as monitors have it.

    A browser that was led here under a foreign name is no monitor; no page has an address for a foreign name.
    """
    try:
        ip_address(split_domain_port(request.META.get("HTTP_HOST", ""))[0].strip("[]"))
    except ValueError:
        try:
            request.get_host()
        except DisallowedHost:
            return False
    return True
