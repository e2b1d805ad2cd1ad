"""The inventory: clusters, their IoTDB services and the nodes of these."""

from __future__ import annotations

from collections.abc import Mapping

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from tasks import vault
from tasks.states import Control, IPMode, Reach

object_name = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z",
    "Use letters, digits, dot, underscore and hyphen only, and begin with a letter or a digit.",
)


def absolute_path(value: str) -> None:
    """Refuse a path that is not absolute, is the root, or has parts that lead elsewhere."""
    if not value.startswith("/"):
        raise ValidationError("Give an absolute path, for example /opt/iotdb.")
    parts = value.split("/")
    if "." in parts or ".." in parts:
        raise ValidationError("The path has a part . or .. in it. Give the path without them.")
    if not any(parts):
        raise ValidationError("The root directory cannot be used. Give a directory below it, for example /opt/iotdb.")


class Cluster(models.Model):
    """One IoTDB installation the console looks after; *Backup Object* on the form."""

    name = models.CharField("Name", max_length=64, unique=True, validators=[object_name])
    ip_mode = models.CharField(
        "Network",
        max_length=4,
        choices=IPMode.choices,
        default=IPMode.IPV4,
        help_text="Presets IP Mode where a task of this cluster sends its files to a server.",
    )
    note = models.CharField("Note", max_length=200, blank=True, help_text="What this cluster is for.")
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)
        permissions = [("manage_inventory", "Can look after clusters, services and nodes")]

    def __str__(self) -> str:
        return self.name


class Service(models.Model):
    """One IoTDB service of a cluster; its name is the *Data source* in the names of files."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="services")
    name = models.CharField(
        "Name",
        max_length=32,
        default="IoTDB",
        validators=[
            RegexValidator(
                r"^[A-Za-z0-9][A-Za-z0-9.-]*\Z",
                "Use letters, digits, dot and hyphen only: in file names an underscore parts this name off.",
            )
        ],
    )
    # The account by which a Session asks IoTDB for its inventory and its health; none: counts are unknown.
    session_user = models.CharField("IoTDB user", max_length=64, blank=True)
    sealed_secrets = models.TextField(blank=True, editable=False)

    class Meta:
        ordering = ("cluster", "name")
        constraints = [
            models.UniqueConstraint(
                fields=("cluster", "name"),
                name="service_name_in_cluster",
                violation_error_message="This cluster already has a service of that name. Choose a different name.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def set_secrets(self, secrets: Mapping[str, str]) -> None:
        """Encrypt ``secrets`` (``password``) for this row, which has to have its key; the caller saves."""
        self.sealed_secrets = vault.seal(secrets, f"service {self.pk}")

    def secrets(self) -> dict[str, str]:
        """Return the password of the IoTDB user; raise ``vault.KeyLost`` where no key opens it."""
        return vault.unseal(self.sealed_secrets, f"service {self.pk}")


class Node(models.Model):
    """A host of a service, with its role, how its files are reached, and how its IoTDB is stopped and started."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="nodes")
    name = models.CharField("Name", max_length=64, validators=[object_name])
    config_node = models.BooleanField("ConfigNode", default=True)
    data_node = models.BooleanField("DataNode", default=True)
    home = models.CharField(
        "IoTDB home",
        max_length=1024,
        validators=[absolute_path],
        help_text="The directory that holds conf and data of the IoTDB, for example /opt/iotdb.",
    )
    reach = models.CharField("Files are", max_length=5, choices=Reach.choices, default=Reach.LOCAL)
    ssh_address = models.CharField("SSH address", max_length=255, blank=True)
    ssh_port = models.PositiveIntegerField(
        "SSH port", default=22, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    ssh_user = models.CharField("SSH user", max_length=64, blank=True)
    host_key = models.CharField("Host Key", max_length=256, blank=True)
    sudo_user = models.CharField("IoTDB account", max_length=64, blank=True)
    # password, or private_key and its passphrase: write-only.
    sealed_secrets = models.TextField(blank=True, editable=False)
    control = models.CharField(
        "IoTDB is stopped and started", max_length=8, choices=Control.choices, default=Control.HAND
    )
    stop_data_node = models.CharField("Stop the DataNode", max_length=500, blank=True)
    stop_config_node = models.CharField("Stop the ConfigNode", max_length=500, blank=True)
    start_config_node = models.CharField("Start the ConfigNode", max_length=500, blank=True)
    start_data_node = models.CharField("Start the DataNode", max_length=500, blank=True)
    rpc_host = models.CharField(
        "RPC address", max_length=255, blank=True, help_text="Host name or address of the DataNode's RPC service."
    )
    rpc_port = models.PositiveIntegerField(
        "RPC port", default=6667, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )

    class Meta:
        ordering = ("service", "name")
        constraints = [
            models.UniqueConstraint(
                fields=("service", "name"),
                name="node_name_in_service",
                violation_error_message="This service already has a node of that name. Choose a different name.",
            ),
            models.CheckConstraint(
                condition=models.Q(config_node=True) | models.Q(data_node=True),
                name="node_has_a_role",
                violation_error_message="Choose ConfigNode, DataNode or both.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def way(self) -> str:
        """Where the node's files are, in words."""
        if self.reach == Reach.LOCAL:
            return "On this machine"
        by_sudo = f", as {self.sudo_user} by sudo" if self.sudo_user not in ("", self.ssh_user) else ""
        return f"On {self.ssh_address} port {self.ssh_port}, over SSH as {self.ssh_user}{by_sudo}"

    @property
    def roles(self) -> str:
        """The node's roles in words."""
        names = [label for has, label in ((self.config_node, "ConfigNode"), (self.data_node, "DataNode")) if has]
        return " and ".join(names)

    def set_secrets(self, secrets: Mapping[str, str]) -> None:
        """Encrypt ``secrets`` for this row, which has to have its key; the caller saves."""
        self.sealed_secrets = vault.seal(secrets, f"node {self.pk}")

    def secrets(self) -> dict[str, str]:
        """Return what the SSH login needs; raise ``vault.KeyLost`` where no key opens it."""
        return vault.unseal(self.sealed_secrets, f"node {self.pk}")
