"""The path type RemoteHDFS: its form, and the two stores behind it."""

from storage.remotehdfs.form import PATH_TYPE, RemoteHDFS, RemoteHDFSForm

__all__ = ["PATH_TYPE", "RemoteHDFS", "RemoteHDFSForm"]
