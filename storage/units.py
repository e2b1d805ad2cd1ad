"""How sizes are written for people (look.md, section 9)."""

from __future__ import annotations

_SIZES = ("B", "kB", "MB", "GB", "TB", "PB")


def format_size(count: int | float) -> str:
    """Return a size in decimal units with three digits, such as ``612 MB`` or ``1.81 GB``."""
    value, unit = float(count), 0
    while abs(value) >= 999.5 and unit < len(_SIZES) - 1:
        value, unit = value / 1000, unit + 1
    if unit == 0:
        return f"{int(value)} B"
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f} {_SIZES[unit]}"
