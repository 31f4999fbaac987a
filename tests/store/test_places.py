"""A database on a network file system is told, whatever the place is called."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from auditor.store.database import Database
from auditor.store.leadership import FileLock
from auditor.store.places import MOUNTS, REMOTE, file_system


def mounts(folder: Path, *lines: str) -> Path:
    """A file like Linux's own."""
    path = folder / "mounts"
    path.write_text("".join(f"{line}\n" for line in ("/dev/sda1 / ext4 rw 0 0", *lines)))
    return path


def test_the_innermost_mount_of_a_place_counts_and_the_last_of_several(tmp_path: Path) -> None:
    told = mounts(
        tmp_path,
        "proc /proc proc rw 0 0",
        "server:/a /data nfs4 rw 0 0",
        "/dev/sdb1 /data/local xfs rw 0 0",
        "/dev/sdc1 /over ext4 rw 0 0",
        "//server/share /over cifs rw 0 0",
        "torn",
    )
    assert file_system(Path("/elsewhere/a.db"), told) == "ext4"
    assert file_system(Path("/data/deep/a.db"), told) == "nfs4"
    assert file_system(Path("/data/local/a.db"), told) == "xfs"
    assert file_system(Path("/database/a.db"), told) == "ext4"
    assert file_system(Path("/over/a.db"), told) == "cifs"


def test_places_with_signs_that_mounts_escape_are_found(tmp_path: Path) -> None:
    told = mounts(tmp_path, r"server:/a /with\040space\011tab\134back nfs rw 0 0")
    assert file_system(Path("/with space\ttab\\back/a.db"), told) == "nfs"


def test_without_a_list_of_mounts_nothing_is_said(tmp_path: Path) -> None:
    assert file_system(tmp_path, tmp_path / "none") == ""


@pytest.mark.skipif(not MOUNTS.exists(), reason="Linux tells what is mounted here")
def test_this_machine_tells_what_is_mounted() -> None:
    assert file_system(MOUNTS.parent) == "proc"


@pytest.mark.parametrize("kind", sorted(REMOTE))
def test_whoever_leads_on_a_network_file_system_is_warned(tmp_path: Path, kind: str) -> None:
    told = mounts(tmp_path, f"server:/a {tmp_path.resolve()} {kind} rw 0 0")
    database = Database(f"sqlite:///{tmp_path}/audit.db")
    lock = FileLock(database, mounts=told)
    with capture_logs() as logs:
        assert lock.hold()
        assert lock.hold()
    (entry,) = logs
    assert (entry["event"], entry["log_level"]) == ("store.remote_file", "warning")
    assert entry["file_system"] == kind
    assert entry["path"] == f"{tmp_path}/audit.db.lock"
    assert "use a local disk" in entry["reason"]
    lock.release()
    database.close()


def test_whoever_leads_on_a_local_disk_is_not(tmp_path: Path) -> None:
    told = mounts(tmp_path, "server:/a /data nfs4 rw 0 0")
    database = Database(f"sqlite:///{tmp_path}/audit.db")
    lock = FileLock(database, mounts=told)
    with capture_logs() as logs:
        assert lock.hold()
    assert logs == []
    lock.release()
    database.close()
