"""Reading settings from the environment: typed, and loud about values that make no sense.

Every name may be given as ``NAME`` or, for secrets that should not stand in an environment, as ``NAME_FILE`` holding
the path of a file whose first line is the value.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def env_str(name: str, default: str = "") -> str:
    """Return the text of ``NAME`` or of the file that ``NAME_FILE`` points to; an empty value counts as unset."""
    file = os.environ.get(f"{name}_FILE", "")
    if file:
        try:
            return Path(file).read_text(encoding="utf-8").splitlines()[0].strip()
        except (OSError, IndexError) as error:
            raise ImproperlyConfigured(f"{name}_FILE: {file} cannot be read or is empty.") from error
    return os.environ.get(name, "") or default


def env_bool(name: str, default: bool = False) -> bool:
    """Return a truth value; anything but yes/no, true/false, on/off, 1/0 is refused."""
    text = env_str(name, "yes" if default else "no").lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name}: {text!r} is neither yes nor no.")


def env_int(name: str, default: int, *, least: int = 0, or_zero: bool = False) -> int:
    """Return a whole number of at least ``least``; with ``or_zero`` it may be 0 as well."""
    text = env_str(name, str(default))
    try:
        number = int(text)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {text!r} is not a whole number.") from error
    if number < least and not (or_zero and number == 0):
        also = ", and not 0" if or_zero else ""
        raise ImproperlyConfigured(f"{name}: {number} is less than {least}{also}.")
    return number


def env_list(name: str, default: str) -> list[str]:
    """Return a list written with commas."""
    return [part.strip() for part in env_str(name, default).split(",") if part.strip()]


def env_choice(name: str, choices: Sequence[str]) -> str:
    """Return one of ``choices``, the first one where nothing is said; anything else is refused."""
    text = env_str(name, choices[0]).lower()
    if text not in choices:
        raise ImproperlyConfigured(f"{name}: {text!r} is none of {', '.join(choices)}.")
    return text


def env_networks(name: str, default: str) -> list[IPv4Network | IPv6Network]:
    """Return networks written with commas, such as ``10.0.0.0/8``; one address is a network as well."""
    found = []
    for part in env_list(name, default):
        try:
            found.append(ip_network(part))
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}: {part!r} is no network: {error}.") from error
    return found


def env_path(name: str, default: Path) -> Path:
    """Return an absolute path; ``~`` is expanded and a relative path is taken from the working directory."""
    return Path(env_str(name, str(default))).expanduser().absolute()


def key_from_file(path: Path) -> str:
    """Return the key kept in ``path``, made with mode 0600 where there is none yet.

    Two processes that start at once agree on one key: the file is created exclusively, and the loser reads it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        for _ in range(50):
            text = path.read_text(encoding="ascii").strip()
            if text:
                return text
            time.sleep(0.02)
        raise ImproperlyConfigured(f"{path} is empty. Remove it, and a new key is made.") from None
    key = secrets.token_urlsafe(48)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(key + "\n")
        # What is encrypted with it may reach the disk before it does.
        file.flush()
        os.fsync(file.fileno())
    return key
