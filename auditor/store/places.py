"""What kind of file system a file is on: not every one locks what it says it locks."""

import re
from collections.abc import Iterator
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
"""Where Linux tells what is mounted: device, place, kind, options …, a mount a line."""

REMOTE = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph-fuse", "fuse.glusterfs", "fuse.sshfs",
        "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs",
    }
)  # fmt: skip
"""Kinds that other machines work on as well."""


def file_system(path: Path, mounts: Path = MOUNTS) -> str:
    """Return the kind of file system *path* is on; ``""`` where that cannot be told."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except OSError:
        return ""
    place, found, length = path.resolve(), "", -1
    for mount, kind in _mounts(lines):
        # Of mounts on one place the last covers the others.
        if place.is_relative_to(mount) and len(mount) >= length:
            found, length = kind, len(mount)
    return found


def _mounts(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        fields = line.split(" ")
        if len(fields) > 2:
            yield re.sub(r"\\([0-7]{3})", _unescaped, fields[1]), fields[2]


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 8))
