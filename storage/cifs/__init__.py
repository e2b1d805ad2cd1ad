"""The path type CIFS: its form, and the store behind it."""

from storage.cifs.form import CIFS, PATH_TYPE, CIFSForm

__all__ = ["PATH_TYPE", "CIFS", "CIFSForm"]
