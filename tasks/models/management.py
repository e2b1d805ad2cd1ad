"""The management nodes: the host of the console, and its standby where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models

from tasks import vault


class ManagementNodes(models.Model):
    """The one row of settings of the management nodes.

    ``standby`` holds the parameters of an SFTP destination (``storage.sftp``), or nothing where there is no standby.
    Its shared path is the directory of that node that takes the place of *Data storage path*/LocalBackup. The secrets
    are write-only.
    """

    data_storage_path = models.CharField("Data storage path", max_length=1024, blank=True)
    standby: models.JSONField[Any, dict[str, Any]] = models.JSONField(default=dict, blank=True)
    sealed_secrets = models.TextField(blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        verbose_name = "management nodes"
        permissions = [("manage_system", "Can set up the management nodes")]
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_row_of_management_nodes")]

    def __str__(self) -> str:
        return "Management nodes"

    @classmethod
    def load(cls) -> ManagementNodes:
        """Return the row, made where it is missing."""
        return cls.objects.get_or_create(pk=1)[0]

    @classmethod
    def current(cls) -> ManagementNodes:
        """Return the row, or one with the defaults that is not stored; for looking."""
        return cls.objects.filter(pk=1).first() or cls(pk=1)

    def set_secrets(self, secrets: Mapping[str, str]) -> None:
        """Encrypt ``secrets`` for this row; the caller saves."""
        self.sealed_secrets = vault.seal(secrets, "management nodes")

    def secrets(self) -> dict[str, str]:
        """Return the secrets of the standby node; raise ``vault.KeyLost`` where no key opens them."""
        return vault.unseal(self.sealed_secrets, "management nodes")
