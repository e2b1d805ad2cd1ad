"""What a person chose for the console's pages."""

from __future__ import annotations

from django.conf import settings
from django.db import models


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
