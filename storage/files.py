"""Files: written so that a reader, or the next run after a crash, sees the whole file or none; known by their bytes."""

import fcntl
import hashlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic_core import to_json


def new_id() -> str:
    """A name that sorts by time (to the millisecond) and is unique anywhere: `20260214T020405123Z-3f2a91c0`."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"[:-3] + f"Z-{secrets.token_hex(4)}"


def write_json(path: Path, value: Any) -> None:
    """Write `value` (dataclasses and dates included) to `path` as JSON, as `write_bytes` does."""
    write_bytes(path, to_json(value, indent=1) + b"\n")


def sha256(path: Path) -> str:
    """The digest of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file in one step, and to disk before it is visible."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(3)}")  # no reader's pattern matches such a name
    temporary.write_bytes(content)
    replace(temporary, path)


def write_once(path: Path, make: Callable[[], str]) -> str:
    """The text of a file that only its owner may read; made by `make` when it is not there yet.

    Of two processes that make it at the same time, one wins, and both get what it wrote.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent) as file:  # mode 0600
            file.write(make().encode())
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileExistsError):
                path.hardlink_to(file.name)
        sync(path.parent)
    return path.read_text(encoding="utf-8")


def replace(source: Path, target: Path) -> None:
    """Move a finished file or folder to where it is seen. Source and target lie on one file system."""
    sync(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)  # noqa: PTH105 - named as the manual names it: this is the atomic step
    sync(target.parent)


def sync(path: Path) -> None:
    """Ask the disk to keep what was written to a file, or which names a folder holds."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock between processes; the kernel lets it go when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def remove_older_than(folder: Path, *, days: float, but: str = "") -> None:
    """Remove what lies directly in `folder` and was last changed more than `days` days ago, `but` one name.

    Others may do the same at the same time, or finish what they write there: what is gone meanwhile is gone.
    """
    limit = time.time() - days * 86_400
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):
            if path.name != but and path.stat().st_mtime < limit:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
