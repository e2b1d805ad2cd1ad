"""The console's own save: its database and keys in one file, and the way back from it (docs/recovery.md)."""
