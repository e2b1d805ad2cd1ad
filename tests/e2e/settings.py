"""Settings of the console that the browser looks at: as in life, but with every path type on offer."""

from backupconsole.settings import *  # noqa: F403

INSTALLED_APPS.append("tests.e2e.offered.apps.OfferedConfig")  # noqa: F405
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
