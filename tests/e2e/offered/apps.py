"""Offers every path type on the form, also those whose store is not in yet, so that the forms of all can be tried."""

from django.apps import AppConfig


class OfferedConfig(AppConfig):
    """Makes the path types available; only LocalDir is run by tests of this directory."""

    name = "tests.e2e.offered"
    label = "offered"

    def ready(self) -> None:
        """Set what each path type says of itself."""
        from storage.registry import all_path_types

        for path_type in all_path_types():
            type(path_type).available = True
