"""Verbs on the management nodes: where LocalDir keeps its files, and the standby node that gets a copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from storage.checks import Check
from storage.registry import get_path_type
from storage.verification import verify
from tasks import alarms, audit, permissions
from tasks.audit import Actor
from tasks.engine import hostkeys
from tasks.errors import EditConflict
from tasks.models import BackupFile, ManagementNodes
from tasks.services.common import changes, require, values_of
from tasks.vault import KeyLost

_AUDITED = ("data_storage_path", "standby")


@dataclass(frozen=True)
class NodesDraft:
    """What a person decided about the management nodes. ``standby`` is empty where there is none."""

    data_storage_path: str
    standby: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    """What was typed now; a secret that is absent stays as it is stored."""


def save_management_nodes(actor: Actor, version: int, draft: NodesDraft) -> ManagementNodes:
    """Change the settings that were read at ``version``; raise ``EditConflict`` when somebody else saved them since.

    Sets that lie at an earlier data storage path stay there: retention touches only what lies where it looks.
    """
    # Before the transaction, with which the record of a refusal would be undone.
    require(actor, permissions.SYSTEM, "change management nodes", ManagementNodes.load())
    with transaction.atomic():
        nodes = ManagementNodes.objects.select_for_update().get(pk=1)
        if nodes.version != version:
            raise EditConflict("The management nodes were changed by somebody else while you edited them.")
        before = values_of(nodes, _AUDITED)
        nodes.version += 1
        nodes.data_storage_path, nodes.standby = draft.data_storage_path, dict(draft.standby)
        merged = get_path_type("SFTP").merge_secrets(_stored(nodes), draft.secrets)
        nodes.set_secrets(merged if draft.standby else {})
        nodes.save()
        if _place(before["standby"]) != _place(draft.standby):
            # The copies lie at another place than the one that is looked at from now on; they are made anew there.
            BackupFile.objects.filter(standby_at__isnull=False).update(standby_at=None)
        if hostkeys.place_of(before["standby"]) != hostkeys.place_of(draft.standby):
            alarms.clear(hostkeys.CODE, hostkeys.STANDBY, actor.name)
        old, new = changes(before, values_of(nodes, _AUDITED))
        new |= dict.fromkeys(draft.secrets, audit.MASK)
        audit.record(actor, "change management nodes", nodes, before=old, after=new)
    return nodes


def verify_standby(actor: Actor, parameters: Mapping[str, Any], typed: Mapping[str, str]) -> Iterator[Check]:
    """Try the standby node as it stands in the form; stored secrets are used where none was typed.

    The form has seen to it that these go to the server and account only that they were given for.
    """
    nodes = ManagementNodes.current()
    require(actor, permissions.SYSTEM, "verify standby node", nodes)
    path_type = get_path_type("SFTP")
    audit.record(actor, "verify standby node", nodes, after={"standby": dict(parameters)})
    return verify(
        path_type,
        parameters,
        path_type.merge_secrets(_stored(nodes), typed),
        estimate=lambda: None,
        now=timezone.now,
    )


def _place(standby: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(standby.get(name) for name in ("server_ip", "port", "shared_path"))


def _stored(nodes: ManagementNodes) -> dict[str, str]:
    try:
        return nodes.secrets()
    except KeyLost:
        return {}
