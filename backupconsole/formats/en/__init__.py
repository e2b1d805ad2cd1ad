"""Formats of the console's language."""
