"""What Check says of the way to a machine; values in, sentences out."""

from __future__ import annotations

from tasks.hosts.base import Done, HostSpec, Remark

# Times of files are told in whole seconds; a clock that is off by more makes young files look old.
_ODD_SECONDS = 1.0


def of_connection(spec: HostSpec) -> Remark:
    """Say how the machine was reached, and as whom."""
    by_sudo = f", and as {spec.sudo_user} by sudo" if spec.sudo_user not in ("", spec.user) else ""
    way = f"SSH to {spec.address} port {spec.port} as {spec.user}{by_sudo}"
    return Remark("Connection", f"{way}; the host key is the one that was confirmed.")


def of_sudo(spec: HostSpec, done: Done) -> Remark:
    """Say whether a command could be run as the IoTDB account."""
    if done.status == 0:
        return Remark("Commands", f"sudo lets commands be run as {spec.sudo_user}.")
    account = spec.user or "the account of the console"
    return Remark(
        "Commands",
        f"sudo lets no commands be run as {spec.sudo_user}; a restoration cannot stop and start IoTDB then.",
        False,
        f"Allow {account} with visudo to run /bin/sh as {spec.sudo_user} without a password.",
    )


def of_commands(spec: HostSpec, told: bool) -> Remark:
    """Say whether the account may run commands without sudo."""
    if told:
        return Remark("Commands", f"{spec.user} may run commands.")
    return Remark("Commands", f"{spec.user} may use SFTP only. Backups work; IoTDB is stopped and started by hand.")


def of_clock(ahead: float, told: bool) -> Remark:
    """Say how the clocks differ."""
    if not told:
        return Remark("Clock", "The clock cannot be asked; it is taken to be equal to the one of this machine.")
    if abs(ahead) <= _ODD_SECONDS:
        return Remark("Clock", "Equal to the one of this machine, to the second.")
    word = "ahead of" if ahead > 0 else "behind"
    return Remark(
        "Clock",
        f"{abs(ahead):,.1f} s {word} the one of this machine. Copies allow for it.",
        False,
        "Let both machines keep their time by NTP.",
    )
