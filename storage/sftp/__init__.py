"""The path type SFTP: its form, and the store behind it."""

from storage.sftp.form import PATH_TYPE, SFTP, SFTPForm

__all__ = ["PATH_TYPE", "SFTP", "SFTPForm"]
