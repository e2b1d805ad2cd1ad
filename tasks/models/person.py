"""What the console keeps of a person besides Django's user: limits, choices, sessions, former passwords."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from tasks.models.cluster import Cluster


class Person(models.Model):
    """What an administrator decided about a person; without a row nothing was, and all clusters are seen.

    ``limited`` stands apart from the list, so that nobody sees everything because the last cluster of the list went.
    """

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="person")
    limited = models.BooleanField("Clusters", default=False)
    clusters = models.ManyToManyField(Cluster, blank=True, related_name="people")
    must_change_password = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        verbose_name_plural = "people"
        permissions = [("manage_people", "Can make and disable users, give roles and limit people to clusters")]

    def __str__(self) -> str:
        return str(self.user)


class Preference(models.Model):
    """A person's zone and theme; without a row the browser's zone and the system's theme are used."""

    class Theme(models.TextChoices):
        """The look of the pages."""

        AUTO = "auto", "As the system"
        LIGHT = "light", "Light"
        DARK = "dark", "Dark"

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="preference")
    zone = models.CharField("Time zone", max_length=64, blank=True)
    theme = models.CharField("Theme", max_length=5, choices=Theme.choices, default=Theme.AUTO)

    def __str__(self) -> str:
        return f"Preferences of {self.user}"


class PersonSession(models.Model):
    """A login that lasts: from where, by what, since when, and when the person last did something.

    ``token`` stands in the session's data as well and is neither its key nor in any page. Without the row the session
    has ended, whatever else is left of it.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="console_sessions")
    token = models.CharField(max_length=64, unique=True, editable=False)
    user_agent = models.CharField(max_length=255, blank=True)
    address = models.CharField(max_length=64, blank=True)
    since = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        verbose_name = "session"
        ordering = ("-seen_at", "-id")

    def __str__(self) -> str:
        return f"Session of {self.user}"


class FormerPassword(models.Model):
    """The hash of a password that a person has or had, so that it is not chosen again."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="former_passwords")
    password = models.CharField(max_length=128, editable=False)
    set_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"Former password of {self.user}"
