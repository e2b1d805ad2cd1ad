"""The path type NFS: its form, and the store behind it."""

from storage.nfs.form import NFS, PATH_TYPE, NFSForm

__all__ = ["NFS", "PATH_TYPE", "NFSForm"]
