"""The project: settings, addresses, checks, what monitors ask, and the launcher."""

VERSION = "0.1.0"
