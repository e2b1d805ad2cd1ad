"""Who is logged in, and what that person may do: what Django's own backend says, in two queries instead of six."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Group, Permission, User
from django.db.models import QuerySet, Value

from tasks.keptsql import KeptQuery

BACKEND = f"{__name__}.RightsBackend"
_ROLES = "_roles_kept"


class RightsBackend(ModelBackend):
    """Names and passwords, users with the rows that each page needs, and rights by roles or given one by one."""

    def get_user(self, user_id: int) -> User | None:
        """Return the user with what was decided about, and chosen by that person; None for one who is disabled."""
        found: User | None = _BY_KEY.first(user=user_id)
        return found if found is not None and self.user_can_authenticate(found) else None

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Return the permissions as ``app.code``, asked once per user object; a superuser's are all there are."""
        if user_obj.is_superuser or user_obj.is_anonymous or not user_obj.is_active or obj is not None:
            return set(super().get_all_permissions(user_obj, obj))
        if not hasattr(user_obj, "_perm_cache"):
            _read(user_obj)
        return user_obj._perm_cache


def roles_of(user: User) -> list[str]:
    """Return the names of a person's roles, sorted; asked once per user object, together with the rights."""
    if not hasattr(user, _ROLES):
        _read(user)
    roles: list[str] = getattr(user, _ROLES)
    return roles


def _read(user: User) -> None:
    rows = _GIVEN.rows(user=user.pk)
    setattr(user, _ROLES, sorted(name for app, name in rows if not app))
    if not user.is_superuser:
        user._perm_cache = {f"{app}.{code}" for app, code in rows if app}  # type: ignore[attr-defined]


def _given(user: int) -> QuerySet[Any, Any]:
    """Return the query of apps and codes of permissions, and of the names of roles with no app."""
    names = "content_type__app_label", "codename"
    by_roles = Permission.objects.filter(group__user=user).order_by().values_list(*names)
    one_by_one = Permission.objects.filter(user=user).order_by().values_list(*names)
    roles = Group.objects.filter(user=user).order_by().values_list(Value(""), "name")
    return by_roles.union(one_by_one, roles, all=True)


_BY_KEY = KeptQuery(lambda user: User.objects.select_related("person", "preference").filter(pk=user))
_GIVEN = KeptQuery(_given)
