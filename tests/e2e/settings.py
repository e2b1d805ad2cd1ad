"""Settings of the console that the browser looks at: as in life, but with quick password hashes."""

from backupconsole.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
