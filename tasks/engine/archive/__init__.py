"""The archive engine: one pass, bounded memory, every member and the archive hashed, and proven by reading back."""

from .blocks import Damage, Sink
from .gzip import LEVELS, default_threads
from .manifest import MANIFEST_NAME, Head, Member, Totals, read_manifest
from .members import Listing
from .reading import FileShrank
from .results import ArchiveResult, Checkpoint
from .tar import Attributes
from .tree import TreeCount, add_tree
from .unpack import Unpacked, unpack
from .verify import Verified, verify_archive
from .writer import ArchiveWriter

__all__ = [
    "LEVELS",
    "MANIFEST_NAME",
    "ArchiveResult",
    "ArchiveWriter",
    "Attributes",
    "Checkpoint",
    "Damage",
    "FileShrank",
    "Head",
    "Listing",
    "Member",
    "Sink",
    "Totals",
    "TreeCount",
    "Unpacked",
    "Verified",
    "add_tree",
    "default_threads",
    "read_manifest",
    "unpack",
    "verify_archive",
]
