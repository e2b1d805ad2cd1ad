"""What Verify makes of what it saw: errors, free space and clocks as lines of the page."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

from storage.base import Space
from storage.checks import Check, Estimate, Offer
from storage.errors import ConsoleError, HostKeyChanged, HostKeyUnknown
from storage.units import format_size

# The seed's prerequisite is that both sides keep the same time by NTP; this much is network and rounding.
CLOCK_TOLERANCE = timedelta(seconds=5)


def failed(what: str, error: ConsoleError, field: str | None = None) -> Check:
    """Return the line of a step that ended in ``error``; ``field`` is where to look when the error names none."""
    return Check("failed", what, error.message, error.cure, error.field or field)


def host_key_check(what: str, error: ConsoleError) -> Check:
    """Return the line of an error before the login; an unknown or a changed host key is offered for confirmation."""
    if not isinstance(error, HostKeyUnknown) or not error.host_key:
        return failed(what, error)
    if isinstance(error, HostKeyChanged):
        offer = Offer("host_key", error.host_key, "Trust the new key")
        return Check("failed", what, error.message, error.cure, error.field, offer, error.host_key)
    return Check(
        "warning",
        what,
        "The server shows a host key that is not confirmed yet. Neither user name nor password was sent.",
        "Compare it with the key of the server, for example by ssh-keygen -lf there, and trust it.",
        error.field,
        Offer("host_key", error.host_key, "Trust this key"),
        error.host_key,
    )


def space_check(what: str, space: Space | None, estimate: Estimate | None) -> Check:
    """Compare the room with what the sets will need; too little for one set fails."""
    if space is None:
        cure = f"Look there whether {format_size(estimate.total)} fit." if estimate else "Look there."
        return Check("warning", what, "The destination does not tell how much room it has.", cure)
    free = f"{format_size(space.free)} free of {format_size(space.total)}"
    if estimate is None:
        return Check("ok", what, f"{free}. How much is needed is known after the first run.")
    sets = "1 more set needs" if estimate.sets == 1 else f"{estimate.sets} more sets need"
    need = f"{free}; {sets} about {format_size(estimate.total)}."
    if space.free < estimate.size:
        return Check("failed", what, need, "Free space there before the next run.", "copies")
    if space.free < estimate.total:
        return Check("warning", what, need, "Free space there, or keep fewer copies.", "copies")
    return Check("ok", what, need)


def clock_check(what: str, ahead: timedelta) -> Check:
    """Judge how far the server's clock is ahead of this machine's."""
    here = settings.HOST_NAME
    if abs(ahead) <= CLOCK_TOLERANCE:
        return Check("ok", what, f"The server and {here} keep the same time.")
    seconds = round(abs(ahead.total_seconds()))
    side = "ahead of" if ahead > timedelta(0) else "behind"
    return Check("warning", what, f"The server is {seconds:,} s {side} {here}.", "Point both at the same NTP source.")
