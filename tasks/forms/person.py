"""The form of a person: names, roles with what each may do, and the clusters that are seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Div, Field
from django import forms
from django.contrib.auth.models import Group, User
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from tasks.forms.fields import Cards, Ticks
from tasks.forms.inventory import PLAIN_TEXT, helper
from tasks.models import Cluster
from tasks.people import what_role_may
from tasks.scope import person_of
from tasks.services import PersonDraft

ALL, SOME = "all", "some"
_NOT_YOURS = "You are limited to some clusters yourself"


class RoleTicks(Ticks):
    """Check boxes as cards, what a role may do below its name."""

    hints: dict[str, str] = {}

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Add what the role may do."""
        option = super().create_option(name, value, *args, **kwargs)
        option["hint"] = self.hints.get(str(value), "")
        return option


class PersonForm(forms.Form):
    """What an administrator decides about a person.

    ``clusters`` are those that the administrator sees; ``limited`` says that these are not all.
    """

    username = forms.CharField(
        label="Username",
        max_length=150,
        help_text="What the person logs in with. It cannot be changed later.",
        widget=forms.TextInput(attrs=PLAIN_TEXT),
        validators=[UnicodeUsernameValidator(message="Use letters, digits and @ . + - _ only.")],
        error_messages={"required": "Give the user a name to log in with."},
    )
    first_name = forms.CharField(label="First name", max_length=150, required=False)
    last_name = forms.CharField(label="Last name", max_length=150, required=False)
    email = forms.EmailField(
        label="Mail address",
        required=False,
        help_text="Where notifications by mail go.",
        error_messages={"invalid": "Give a mail address such as anna@example.org."},
    )
    roles = forms.ModelMultipleChoiceField(
        label="Roles",
        queryset=Group.objects.none(),
        required=False,
        widget=RoleTicks,
        help_text="Several add up. Without a role a person can log in and sees nothing.",
    )
    limited = forms.ChoiceField(
        label="Clusters",
        choices=((ALL, "All clusters"), (SOME, "Only these clusters")),
        initial=ALL,
        error_messages={"required": "Choose All clusters or Only these clusters."},
    )
    clusters = forms.ModelMultipleChoiceField(
        label="Only these clusters", queryset=Cluster.objects.none(), required=False, widget=Ticks
    )
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(
        self,
        *args: Any,
        roles: QuerySet[Group],
        clusters: QuerySet[Cluster],
        limited: bool,
        person: User | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.person = person
        for name, rows in (("roles", roles), ("clusters", clusters)):
            field = self.fields[name]
            assert isinstance(field, forms.ModelMultipleChoiceField)
            field.queryset = rows
        self.fields["roles"].widget.hints = {str(role.pk): "\n".join(what_role_may(role)) for role in roles}
        hints = {ALL: _NOT_YOURS if limited else "Also those that are registered later", SOME: "Choose them below"}
        cards = self.fields["limited"]
        assert isinstance(cards, forms.ChoiceField)
        cards.widget = Cards(hints=hints, closed=(ALL,) if limited else ())
        cards.widget.choices = cards.choices
        if limited:
            cards.initial = SOME
        if person is not None:
            del self.fields["username"]

    @property
    def helper(self) -> FormHelper:
        """The layout."""
        name = () if self.person else (Field("username", wrapper_class="w3"),)
        return helper(
            *name,
            Field("first_name", wrapper_class="w3"),
            Field("last_name", wrapper_class="w3"),
            Field("email", wrapper_class="w3"),
            Field("roles", template="people/form_roles.html"),
            Field("limited", template="tasks/form_cards.html"),
            Div(Field("clusters", template="people/form_clusters.html"), css_class="limited-list"),
            Field("version"),
        )

    def clean_username(self) -> str:
        """Refuse a name that differs from another one's by capitals at the most."""
        name: str = self.cleaned_data["username"]
        if User.objects.filter(username__iexact=name).exists():
            raise ValidationError(f"Another user is already called {name}. Choose a different name.")
        return name

    def clean(self) -> dict[str, Any]:
        """Ask for a cluster where not all are meant."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("limited") == SOME and not cleaned.get("clusters") and "clusters" not in self.errors:
            self.add_error("clusters", "Choose at least one cluster, or choose All clusters.")
        return cleaned

    def draft(self) -> PersonDraft:
        """Return what was decided. Call after ``is_valid`` returned True."""
        cleaned = self.cleaned_data
        limited = cleaned["limited"] == SOME
        return PersonDraft(
            username=self.person.username if self.person else cleaned["username"],
            roles=tuple(cleaned["roles"]),
            limited=limited,
            clusters=tuple(cleaned["clusters"]) if limited else (),
            first_name=cleaned["first_name"],
            last_name=cleaned["last_name"],
            email=cleaned["email"],
        )


def stored_values(user: User) -> dict[str, Any]:
    """Return a person's values by the names of the form's fields."""
    person = person_of(user)
    return {
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        "roles": [role.pk for role in user.groups.all()],
        "limited": SOME if person and person.limited else ALL,
        "clusters": [cluster.pk for cluster in person.clusters.all()] if person else [],
        "version": person.version if person else 1,
    }


def differences(draft: PersonDraft, current: User) -> list[dict[str, Any]]:
    """Return each field of a draft beside what is stored now, in words, for two people who changed it at once."""
    person = person_of(current)
    limited = bool(person and person.limited)
    saved_clusters: Iterable[Cluster] = person.clusters.all() if person else ()
    rows = [
        ("First name", draft.first_name, current.first_name),
        ("Last name", draft.last_name, current.last_name),
        ("Mail address", draft.email, current.email),
        ("Roles", _names(draft.roles), _names(current.groups.all())),
        (
            "Clusters",
            _names(draft.clusters) if draft.limited else "All clusters",
            _names(saved_clusters) if limited else "All clusters",
        ),
    ]
    return [
        {"label": label, "yours": yours or "Empty", "saved": saved or "Empty", "differs": yours != saved}
        for label, yours, saved in rows
    ]


def _names(things: Iterable[Group | Cluster]) -> str:
    return ", ".join(sorted(thing.name for thing in things))
