"""The path type CIFS: its form, and the store behind it."""

from storage.cifs.form import PATH_TYPE, CIFS, CIFSForm

__all__ = ["PATH_TYPE", "CIFS", "CIFSForm"]
