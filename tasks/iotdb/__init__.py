"""Asking a running IoTDB by a Session: its health, its inventory, and what became of it."""
