"""The one place where what SSH, SFTP and sudo say of a node's machine becomes what an administrator reads."""

from __future__ import annotations

import errno
import os
import re

from storage.errors import AuthenticationFailed, ConsoleError, PermissionDenied, StoreFault, Unreachable
from storage.sftp.commands import Ended
from storage.sftp.wire import Code, Refusal
from tasks.hosts.base import HostSpec

_NUMBERS = {
    Code.NO_SUCH_FILE: errno.ENOENT,
    Code.NO_SUCH_PATH: errno.ENOENT,
    Code.PERMISSION_DENIED: errno.EACCES,
    Code.WRITE_PROTECT: errno.EROFS,
    Code.FILE_ALREADY_EXISTS: errno.EEXIST,
    Code.NO_SPACE: errno.ENOSPC,
    Code.QUOTA_EXCEEDED: errno.EDQUOT,
    Code.UNSUPPORTED: errno.EOPNOTSUPP,
}
# The labels and fields of a destination, and those of a node.
_LABELS = (
    (re.compile(r"\bServer IP Address\b"), "SSH address"),
    (re.compile(r"\bPort\b"), "SSH port"),
    (re.compile(r"\bUsername\b"), "SSH user"),
)
_FIELDS = {"server_ip": "ssh_address", "port": "ssh_port", "username": "ssh_user"}
# What sudo says (sudo 1.8 and 1.9, LC_ALL=C), in its own sources: plugins/sudoers/auth, check.c and logging.c.
_WRONG = ("incorrect password", "Sorry, try again", "no password was provided")
_ASKS = ("a password is required", "a terminal is required", "no askpass program")
_FORBIDDEN = ("not allowed to", "may not run sudo", "not in the sudoers")


def of_refusal(refusal: Refusal, path: str) -> OSError:
    """Return what the operating system would have said; a plain failure is EIO."""
    return os_error(_NUMBERS.get(Code(refusal.code), errno.EIO) if refusal.code in set(Code) else errno.EIO, path)


def os_error(number: int, path: str) -> OSError:
    """Return the error of a number."""
    return OSError(number, os.strerror(number), path)


def of_node(error: ConsoleError, node: str) -> ConsoleError:
    """Let an error of the connection name the node, and speak of the fields of a node."""
    if not error.message.startswith(f"Node {node}: "):
        error.message = f"Node {node}: {error.message}"
        for label, ours in _LABELS:
            error.cure = label.sub(ours, error.cure)
        error.field = _FIELDS.get(error.field or "", error.field)
    return error


def asks_password(ended: Ended) -> bool:
    """Whether sudo wants a password."""
    return any(sign in ended.errors for sign in _ASKS)


def of_sudo(ended: Ended, spec: HostSpec, program: str) -> ConsoleError:
    """Return what is said where sudo did not let ``program`` run as the IoTDB account."""
    here, user, account = spec.address, spec.user, spec.sudo_user
    rule = f"{user} ALL=({account}) NOPASSWD: {program}, /bin/sh"
    allow = f"Allow it with visudo on {here}: {rule}"
    if any(sign in ended.errors for sign in _WRONG):
        return AuthenticationFailed(
            f"sudo on {here} refused the password of {user}.",
            cure=f"sudo wants a password that is not the one of the login. {allow}",
            field="sudo_user",
        )
    if any(sign in ended.errors for sign in _FORBIDDEN):
        return PermissionDenied(
            f"sudo on {here} does not let user {user} work as {account}.", cure=allow, field="sudo_user"
        )
    if asks_password(ended):
        return PermissionDenied(
            f"sudo on {here} asks user {user} for a password, and the login was by a key.",
            cure=allow,
            field="sudo_user",
        )
    if "unknown user" in ended.errors:
        return PermissionDenied(
            f"There is no account {account} on {here}.", cure="Correct IoTDB account.", field="sudo_user"
        )
    if "must have a tty" in ended.errors:
        return PermissionDenied(
            f"sudo on {here} works from a terminal only.",
            cure=f"Add with visudo on {here}: Defaults:{user} !requiretty",
            field="sudo_user",
        )
    if ended.status == 127 or "not found" in ended.errors:
        return final(
            f"sudo is not installed on {here}.", f"Install it, or log in as {account} and leave IoTDB account empty."
        )
    return final(
        f"{program} could not be started as {account} on {here}.",
        f"Try there as {user}: sudo -u {account} {program}",
    )


def no_shell(spec: HostSpec) -> ConsoleError:
    """Return what is said where sudo is wanted of an account that runs no commands."""
    return final(
        f"User {spec.user} runs no commands on {spec.address}, which sudo needs.",
        f"Give the account a shell, or log in as {spec.sudo_user} and leave IoTDB account empty.",
    )


def no_secrets(problem: str) -> ConsoleError:
    """Return what is said where the stored secrets cannot be opened."""
    return AuthenticationFailed(
        problem, cure="Bring back the key file of the console, or type the secret on the page of the node again."
    )


def no_commands(spec: HostSpec) -> ConsoleError:
    """Return what is said where a command is wanted of an account that runs none."""
    return final(
        f"User {spec.user} runs no commands on {spec.address}; it may use SFTP only.",
        "Give the account a shell, or choose By hand for how IoTDB is stopped and started.",
        "ssh_user",
    )


def no_answer(spec: HostSpec) -> ConsoleError:
    """Return what is said where a command that sudo is tried by does not end."""
    return Unreachable(
        f"sudo on {spec.address} does not answer user {spec.user}.",
        cure=f"Try there as {spec.user}: sudo -u {spec.sudo_user} true",
        field="sudo_user",
    )


def no_server(spec: HostSpec) -> ConsoleError:
    """Return what is said where the program is missing that serves SFTP as another account."""
    return final(
        f"No sftp-server was found on {spec.address}.",
        f"Install OpenSSH's sftp-server there, or log in as {spec.sudo_user} and leave IoTDB account empty.",
    )


def final(message: str, cure: str, field: str = "sudo_user") -> ConsoleError:
    """Return a fault that trying again does not cure."""
    fault = StoreFault(message, cure=cure, field=field)
    fault.retryable = False
    return fault
