"""Passwords: which are taken, in words; that none comes back; and those that are good for one login."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils import timezone

from tasks.models import FormerPassword


def random_password() -> str:
    """Return a password with 96 bits of chance that is easy to copy."""
    return secrets.token_urlsafe(12)


def rules_in_words() -> str:
    """Return what a new password has to be like, for the help beside its field."""
    count = settings.PASSWORD_HISTORY
    last = "the present one" if count == 1 else f"one of your last {count}"
    return (
        f"At least {settings.PASSWORD_MIN_LENGTH} characters, not only digits, not a common password, not like your "
        f"name or mail address, and not {last}."
    )


class NotReusedValidator:
    """Refuses the present password and those before it, ``remember`` in all; keeps their hashes as they are set."""

    def __init__(self, remember: int) -> None:
        self.remember = remember

    def validate(self, password: str, user: User | None = None) -> None:
        """Raise ``ValidationError`` for a password that the person has or had; one hash is worked out for each."""
        if user is None or user.pk is None:
            return
        former = FormerPassword.objects.filter(user=user).values_list("password", flat=True)[: self.remember]
        if any(check_password(password, known) for known in {user.password, *former}):
            raise ValidationError("You had this password before. Choose a new one.", code="password_reused")

    def password_changed(self, password: str, user: User | None = None) -> None:
        """Keep the hash of a password that was just set, and forget what is too old to be compared."""
        if user is None or user.pk is None:
            return
        FormerPassword.objects.create(user=user, password=user.password, set_at=timezone.now())
        kept = FormerPassword.objects.filter(user=user).values_list("pk", flat=True)[: self.remember]
        FormerPassword.objects.filter(user=user).exclude(pk__in=list(kept)).delete()

    def get_help_text(self) -> str:
        """Return the rule in words."""
        return "Your password cannot be one that you had before."
