"""Lockout: guessing passwords is stopped, and nobody can stop an administrator from logging in.

Wrong passwords are counted by name **and** address, and by address with a higher limit; never by name alone, so that
nobody is locked out by what strangers do from elsewhere. A lockout ends by itself. Who shares an address with strangers
is told from them by the browser: one that logged in before has counts of its own (OWASP, device cookies).
django-axes keeps the counts and asks ``handler`` whether an attempt may be made.
"""
