"""All settings of the console, from the environment, in one place.

``docs`` for people stand in the README's table; what a value means stands beside it here.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
from csp.constants import NONE, SELF
from tzlocal import get_localzone_name

from backupconsole import logformat
from backupconsole.env import env_bool, env_int, env_list, env_networks, env_path, env_str, key_from_file

BASE_DIR = Path(__file__).resolve().parent.parent

# Everything that the console writes lies below this directory, unless DATA_STORAGE_PATH says otherwise for archives.
DATA_DIR = env_path("DATA_DIR", BASE_DIR / "var")
DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)

# --- Web ---------------------------------------------------------------------------------------------------------
SECRET_KEY = env_str("SECRET_KEY") or key_from_file(DATA_DIR / "secret-key")
DEBUG = env_bool("DEBUG")
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS", "")
# HTTPS=yes where a reverse proxy speaks TLS to the browsers: secure cookies, HSTS, redirect.
HTTPS = env_bool("HTTPS")
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# The address of the person is taken from the connection, or from the proxy's header where a proxy is declared.
TRUSTED_PROXY = env_bool("TRUSTED_PROXY")
SESSION_ENGINE = "tasks.sessionstore"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# A login lasts so long, and ends before when nothing is done: what open pages ask for by themselves does not count.
SESSION_COOKIE_AGE = env_int("SESSION_HOURS", 12, least=1) * 3600
SESSION_IDLE_MINUTES = env_int("SESSION_IDLE_MINUTES", 60, least=1)
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        # Bootstrap's stylesheet carries its control icons as data: images.
        "img-src": [SELF, "data:"],
        "font-src": [NONE],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

INSTALLED_APPS = [
    "backupconsole.apps.ConsoleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_q",
    "crispy_forms",
    "crispy_bootstrap5",
    "django_htmx",
    "csp",
    "axes",
    "tasks",
]
MIDDLEWARE = [
    "tasks.middleware.RequestNumberMiddleware",
    # Before all others: a probe needs neither the name of the host, nor a session, nor HTTPS.
    "backupconsole.monitoring.probes.ProbesMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "tasks.middleware.ViewerZoneMiddleware",
    "tasks.gate.GateMiddleware",
    "tasks.auditing.middleware.RefusalMiddleware",
    "tasks.lockout.middleware.KnownBrowserMiddleware",
    # The last one, as django-axes wants it: its answer to who is locked out passes all the others.
    "axes.middleware.AxesMiddleware",
]
CSRF_FAILURE_VIEW = "tasks.auditing.middleware.csrf_failure"
ROOT_URLCONF = "backupconsole.urls"
WSGI_APPLICATION = "backupconsole.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "tasks.context.console",
            ],
        },
    },
    {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [BASE_DIR / "jinja"],
        "OPTIONS": {"environment": "tasks.jinja.environment"},
    },
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
INSTALLED_APPS.append("django.forms")
CRISPY_ALLOWED_TEMPLATE_PACKS = CRISPY_TEMPLATE_PACK = "bootstrap5"
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
# So many wrong passwords of one name at one address, or of all names at one address, and further attempts are refused
# for LOCKOUT_MINUTES, in which they are not counted. Never by name alone: see tasks.lockout.
LOCKOUT_FAILURES = env_int("LOCKOUT_FAILURES", 5, least=1)
LOCKOUT_ADDRESS_FAILURES = env_int("LOCKOUT_ADDRESS_FAILURES", 50, least=1)
LOCKOUT_MINUTES = env_int("LOCKOUT_MINUTES", 15, least=1)
AUTHENTICATION_BACKENDS = ["tasks.lockout.handler.LockoutBackend", "tasks.rights.RightsBackend"]
AXES_HANDLER = "tasks.lockout.handler.LockoutHandler"
AXES_LOCKOUT_CALLABLE = "tasks.lockout.response.locked_out"
AXES_CLIENT_IP_CALLABLE = "tasks.lockout.attempt.network_of"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "ip_address"]
AXES_FAILURE_LIMIT = LOCKOUT_FAILURES
AXES_COOLOFF_TIME = timedelta(minutes=LOCKOUT_MINUTES)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
# Names that were typed are not for its log; it keeps nothing but the counts, and has no pages.
AXES_VERBOSE = AXES_ENABLE_ADMIN = AXES_ENABLE_ACCESS_FAILURE_LOG = False
AXES_DISABLE_ACCESS_LOG = True
# The last passwords of a person, the present one among them, are not taken again.
PASSWORD_MIN_LENGTH = env_int("PASSWORD_MIN_LENGTH", 10, least=8)
PASSWORD_HISTORY = env_int("PASSWORD_HISTORY", 5, least=1)
_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator"},
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": PASSWORD_MIN_LENGTH}},
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATION}.NumericPasswordValidator"},
    {"NAME": "tasks.passwords.NotReusedValidator", "OPTIONS": {"remember": PASSWORD_HISTORY}},
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Language and time -------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
# The pages are in English only; to ask for the language at every number and address took a tenth of a page.
USE_I18N = False
# Django's admin writes dates as the other pages do.
FORMAT_MODULE_PATH = "backupconsole.formats"
USE_TZ = True
# The console's own zone: names of files and wall-clock schedules are in it. The machine's zone unless said otherwise.
TIME_ZONE = env_str("TIME_ZONE") or get_localzone_name() or "UTC"

# --- Database ----------------------------------------------------------------------------------------------------
DATABASES: dict[str, Any] = {
    # A connection is kept for a minute: to open one takes PostgreSQL as long as half a page.
    "default": dj_database_url.parse(
        env_str("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'console.sqlite3'}", conn_max_age=60, conn_health_checks=True
    )
}
# For so long somebody who writes waits for others who do.
_LOCK_SECONDS = 20
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE and WAL: without them four writers at once produced "database is locked" (reference/anchors.md D.2).
    # 16 MiB of cache for each connection, and a log that is written back after 32 MiB: with SQLite's own sizes, an
    # eighth of these, the pages of the indexes are read and written again for each batch of runs.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": _LOCK_SECONDS,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
            "PRAGMA cache_size=-16384; PRAGMA wal_autocheckpoint=8192;"
        ),
    }
elif DATABASES["default"]["ENGINE"].endswith("postgresql"):
    # A host that does not answer is known after seconds, not minutes: pages and /readyz say so.
    _options = DATABASES["default"].setdefault("OPTIONS", {})
    _options.setdefault("connect_timeout", 5)
    # To start a second process for a page's query, or to compile it, takes longer than the query. Nobody waits for a
    # lock longer than with SQLite, and a worker that stands still in a transaction does not keep its locks for ever.
    _options.setdefault(
        "options",
        "-c max_parallel_workers_per_gather=0 -c jit=off "
        f"-c lock_timeout={_LOCK_SECONDS}s -c idle_in_transaction_session_timeout=60s",
    )
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": DATA_DIR / "cache",
    }
}

# --- Secrets -----------------------------------------------------------------------------------------------------
# Keys for stored passwords, with commas between them: the first one encrypts, all decrypt. Without the setting a key is
# made in DATA_DIR/secrets-key with mode 0600. `manage.py rotatesecrets` encrypts everything anew with the first key.
SECRETS_KEYS = env_list("SECRETS_KEYS", "") or [key_from_file(DATA_DIR / "secrets-key")]

# --- Runs --------------------------------------------------------------------------------------------------------
# "Data storage path" of the seed: LocalDir keeps its sets in DATA_STORAGE_PATH/LocalBackup/.
DATA_STORAGE_PATH = env_path("DATA_STORAGE_PATH", DATA_DIR / "storage")
# A run does not start when less than this stays free at a LocalDir destination after it.
FREE_SPACE_FLOOR = env_int("FREE_SPACE_FLOOR_MB", 1000) * 1_000_000
# The alarm Space Low: less than this per cent of a destination is free, or it is full within so many days; 0: never.
SPACE_LOW_PERCENT = env_int("SPACE_LOW_PERCENT", 5)
SPACE_LOW_DAYS = env_int("SPACE_LOW_DAYS", 14)
# Runs that are worked on at the same time, over all clusters; one cluster never has two.
RUN_SLOTS = env_int("RUN_SLOTS", 2, least=1)
RUN_TIME_LIMIT = env_int("RUN_TIME_LIMIT_SECONDS", 7200, least=60)
# How long a restoration waits for its confirmation, and for people who stop or start IoTDB by hand.
RESTORE_CONFIRM_SECONDS = env_int("RESTORE_CONFIRM_SECONDS", 1800, least=1)
# How long an IoTDB may take until it is well after its start; 10 s empty, 49 s with 100,000 series were measured.
RESTORE_START_SECONDS = env_int("RESTORE_START_SECONDS", 300, least=1)
# Safety copies of restorations that went well are removed after so many days.
SAFETY_COPY_DAYS = env_int("SAFETY_COPY_DAYS", 14, least=0)
# The worker renews its lease every LEASE/6 seconds; a run whose lease ran out is failed as "worker lost".
LEASE_SECONDS = env_int("LEASE_SECONDS", 60, least=3)
# Records of runs, and alarms that were cleared, are removed after so many days; 0 keeps them for ever. What is needed
# stays longer (tasks.engine.pruning). Not less than the month that the homepage tells of.
RECORDS_DAYS = env_int("RECORDS_DAYS", 400, least=31, or_zero=True)
# A start that is later than this is postponed to the next period (admin_guide_000399).
MISFIRE_SECONDS = 120
# A task whose success is late by this much is overdue; and clocks may differ by so much before an alarm tells of it.
OVERDUE_GRACE = timedelta(minutes=env_int("OVERDUE_GRACE_MINUTES", 60, least=1))
CLOCK_DRIFT = timedelta(seconds=env_int("CLOCK_DRIFT_SECONDS", 30, least=1))
# Where rehearsals find IoTDB besides the homes of local nodes: directories with lib/*.jar, or with such directories.
IOTDB_INSTALLATIONS = [part for part in env_str("IOTDB_INSTALLATIONS").split(":") if part]
# The heap of a rehearsed DataNode; a ConfigNode gets a third. The time is that of one service, its inventory included.
REHEARSAL_HEAP_MB = env_int("REHEARSAL_HEAP_MB", 768, least=256)
REHEARSAL_SECONDS = env_int("REHEARSAL_SECONDS", 600, least=30)
# No tick for this long, or a run that nobody took for STALL_SECONDS: the supervisor restarts the cluster.
TICK_SILENCE_SECONDS = env_int("TICK_SILENCE_SECONDS", 150, least=1)
STALL_SECONDS = env_int("STALL_SECONDS", 15, least=1)

# --- Notifications -----------------------------------------------------------------------------------------------
# Where people reach the console, for the links in messages: https://backup.example. Without it they hold no links.
CONSOLE_URL = env_str("CONSOLE_URL").rstrip("/")
# The services that people may have messages sent to, by the schemes of apprise's URLs. What lets apprise run programs
# or write on this machine (syslog, dbus and the like) is not among them.
NOTIFY_SCHEMES = env_list(
    "NOTIFY_SCHEMES",
    "mailto,mailtos,json,jsons,slack,mmost,mmosts,ntfy,ntfys,workflows,gchat,rocket,rockets,matrix,matrixs,zulip,"
    "gotify,gotifys,discord,tgram,webex,nctalk,nctalks,dingtalk,feishu,lark,wecombot,opsgenie,pagerduty",
)
# Whether people may have messages sent to the console's own machine. The mail server of the console may be there.
NOTIFY_LOCAL = env_bool("NOTIFY_LOCAL")
# One message has to be sent within so many seconds, whatever its server does.
NOTIFY_SECONDS = env_int("NOTIFY_SECONDS", 20, least=1)
# Certificates of servers are checked against these authorities (a PEM file), instead of those that everybody knows.
NOTIFY_CA_FILE = env_str("NOTIFY_CA_FILE")
# The proxy for webhooks and chats, http://proxy.example:3128. It then decides which hosts may be reached.
NOTIFY_PROXY = env_str("NOTIFY_PROXY")
# Messages that were sent or given up are kept for so many days.
NOTIFY_KEEP_DAYS = env_int("NOTIFY_KEEP_DAYS", 30, least=1)

Q_CLUSTER = {
    "name": "backupconsole",
    "orm": "default",
    # Three workers more than runs: one for the tick, one for a tick that still clears up after a lost worker, and one
    # for messages to people.
    "workers": RUN_SLOTS + 3,
    "queue_limit": 1,
    "bulk": 1,
    # Runs end themselves at RUN_TIME_LIMIT; the queue's own limits are only the last resort behind that.
    "timeout": RUN_TIME_LIMIT + 300,
    "retry": max(86_400, 4 * (RUN_TIME_LIMIT + 300)),
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": 500,
    "recycle": 100,
    # An idle console looks for work 2.5 times a second, so that a click starts at once.
    "poll": 0.4,
    "guard_cycle": 1,
    "label": "Queue",
}

# --- Monitoring --------------------------------------------------------------------------------------------------
# Who may read /metrics, and the details of /readyz: bearers of the token, and machines of these networks.
METRICS_TOKEN = env_str("METRICS_TOKEN")
METRICS_NETWORKS = env_networks("METRICS_NETWORKS", "127.0.0.0/8,::1/128")

# --- Logs --------------------------------------------------------------------------------------------------------
LOG_FORMAT = logformat.chosen()
# A line for each request to the web server, on standard error.
ACCESS_LOG = env_bool("ACCESS_LOG")
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"context": {"()": "tasks.logcontext.ContextFilter"}},
    "formatters": {"line": {"()": logformat.formatter, "kind": LOG_FORMAT}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["context"]}},
    "root": {"handlers": ["console"], "level": env_str("LOG_LEVEL", "INFO")},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "django-q": {"level": "WARNING"},
        "axes": {"level": "ERROR"},
        # The lines of runs stand in the database. A collector of logs gets all of them, people what went wrong.
        "tasks.run": {"level": "INFO" if LOG_FORMAT == "json" else "WARNING"},
    },
}
HOST_NAME = env_str("HOST_NAME") or os.uname().nodename
