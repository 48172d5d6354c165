"""The warehouse: releases, which readers see, and candidates, which nobody sees until they passed their audit.

current -> releases/<id>      a relative link, swapped in one step
releases/<id>/                liftoff.duckdb, manifest.json, gate_report.json: complete in themselves
candidates/<id>/              a copy of the parent release on which one build works
rejected/<id>/                what failed its audit
"""

import dataclasses
import hashlib
import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from storage.errors import LiftoffError
from storage.files import exclusive, new_id, remove_older_than, replace, sync, write_json
from storage.lake import Partition

# DuckDB names the catalog after the file, and dbt writes that name into what it compiles: the same in each release.
DATABASE = "liftoff.duckdb"


class NoRelease(LiftoffError):
    """Nothing was published yet, or the release that was asked for is not there."""


class NotAudited(LiftoffError):
    """A candidate without a passed gate report, or one that changed after its audit, was to be published."""


class Overtaken(LiftoffError):
    """Another build published first. `winner` is the id of its release."""

    def __init__(self, candidate: "Candidate", winner: str | None) -> None:
        self.winner = winner
        super().__init__(
            f"Build {candidate.id} was not published: it started from {candidate.begun.parent or 'nothing'}, and "
            f"readers now see {winner or 'nothing'}, which another build or a rollback put there meanwhile. "
            "Nothing is lost: run it again, and it starts from there."
        )


@dataclass(frozen=True)
class Manifest:
    """What a release was made from: enough to tell which days a later build must restate."""

    release_id: str
    parent: str | None
    built_at: datetime
    launch_date: date
    last_date: date
    """The last day that has landed; metrics end here."""
    restated_dates: tuple[date, ...]
    gap_dates: tuple[date, ...]
    """Days without an accepted landing, which someone allowed: their metrics are NULL."""
    rules_digest: str
    """Over models and settings. When it changes, everything is restated."""
    inputs: tuple[Partition, ...]
    database_sha256: str = ""
    database_bytes: int = 0


@dataclass(frozen=True)
class Release:
    """One published folder. It never changes."""

    path: Path

    @property
    def id(self) -> str:
        """Its name, which sorts by the time its build began."""
        return self.path.name

    @property
    def database(self) -> Path:
        """The DuckDB file, to be opened read-only."""
        return self.path / DATABASE

    @cached_property
    def manifest(self) -> Manifest:
        """What it was made from."""
        return TypeAdapter(Manifest).validate_json((self.path / "manifest.json").read_bytes())

    @cached_property
    def gate_report(self) -> Mapping[str, Any]:
        """The audit that let it pass."""
        report: Mapping[str, Any] = json.loads((self.path / "gate_report.json").read_text(encoding="utf-8"))
        return report


@dataclass(frozen=True)
class Begun:
    """How a build started: its id, the release that it copied, and when."""

    id: str
    parent: str | None
    at: datetime


@dataclass(frozen=True)
class Candidate:
    """A release in the making. Its folder holds all that a build's steps tell each other."""

    path: Path

    @property
    def id(self) -> str:
        """The id that the release will have."""
        return self.path.name

    @property
    def database(self) -> Path:
        """The file that the build works on."""
        return self.path / DATABASE

    @property
    def scratch(self) -> Path:
        """The file for staging and intermediate tables, dropped before the audit."""
        return self.path / "scratch.duckdb"

    @cached_property
    def begun(self) -> Begun:
        """How the build started."""
        return TypeAdapter(Begun).validate_json((self.path / "begun.json").read_bytes())

    def keep_report(self, report: Any) -> None:
        """Keep the gate's report beside the database, tied to the very bytes that were audited."""
        write_json(self.path / "gate_report.json", {"database_sha256": sha256(self.database), **report})


class Warehouse:
    """The releases below one folder."""

    def __init__(self, root: Path, *, releases_kept: int) -> None:
        self.root = root
        self.releases_kept = releases_kept

    def current(self) -> Release:
        """The release that readers see. Resolve it once, then read: it stays readable while others are published.

        Raises:
            NoRelease: nothing was published yet.
        """
        if (release := self._current()) is None:
            raise NoRelease("Nothing was published yet. Load and publish a window first: liftoff run --help")
        return release

    def releases(self) -> list[Release]:
        """All that are kept, the newest first."""
        return [Release(path) for path in sorted((self.root / "releases").glob("*"), reverse=True)]

    def release(self, release_id: str) -> Release:
        """Find a release by its id.

        Raises:
            NoRelease: it is not kept, or never was.
        """
        release = Release(self.root / "releases" / release_id)
        if not release.path.is_dir():
            raise NoRelease(f"Release {release_id} is not kept any more, or never was: liftoff releases lists them.")
        return release

    def begin(self) -> Candidate:
        """Copy the current release, if there is one, to a new candidate."""
        remove_older_than(self.root / "candidates", days=1)  # left behind by killed builds
        parent = self._current()
        candidate = Candidate(self.root / "candidates" / new_id())
        candidate.path.mkdir(parents=True)
        if parent:
            shutil.copyfile(parent.database, candidate.database)
        write_json(candidate.path / "begun.json", Begun(candidate.id, parent.id if parent else None, now()))
        return candidate

    def candidate(self, candidate_id: str) -> Candidate:
        """Find a candidate that another process began.

        Raises:
            LiftoffError: it is gone.
        """
        path = self.root / "candidates" / candidate_id
        if not path.is_dir():
            raise LiftoffError(
                f"Candidate {candidate_id} is gone: it was published, rejected or given up. Build again."
            )
        return Candidate(path)

    def reject(self, candidate: Candidate) -> Path:
        """Keep a candidate that failed its audit where no reader looks."""
        kept = self.root / "rejected" / candidate.id
        replace(candidate.path, kept)
        for path in sorted((self.root / "rejected").glob("*"))[: -self.releases_kept]:
            shutil.rmtree(path)
        return kept

    def discard(self, candidate: Candidate) -> None:
        """Remove a candidate that is not wanted any more."""
        shutil.rmtree(candidate.path)

    def publish(self, candidate: Candidate, manifest: Manifest) -> Release:
        """Make `candidate` the release that readers see, atomically.

        Compare-and-swap: succeeds only while `current` is still the candidate's parent.

        Raises:
            Overtaken: another build published first; build again from the new parent.
            NotAudited: the candidate has no gate report, a failed one, or changed since.
        """
        digest = self._audited_digest(candidate)
        size = candidate.database.stat().st_size
        write_json(
            candidate.path / "manifest.json",
            dataclasses.replace(manifest, database_sha256=digest, database_bytes=size),
        )
        sync(candidate.database)
        release = Release(self.root / "releases" / candidate.id)
        with exclusive(self.root / ".lock"):
            current = self._current()
            if (current.id if current else None) != candidate.begun.parent:
                raise Overtaken(candidate, current.id if current else None)
            replace(candidate.path, release.path)
            self._point_to(release)
            self._prune()
        return release

    def roll_back(self, release_id: str | None = None) -> Release:
        """Show readers an earlier release again: `release_id`, or the parent of the current one.

        Raises:
            NoRelease: it is not kept, or there is none before the current one.
        """
        with exclusive(self.root / ".lock"):
            wanted = release_id or self.current().manifest.parent
            if wanted is None:
                raise NoRelease("The current release is the first one: there is none before it.")
            release = self.release(wanted)
            self._point_to(release)
        return release

    def _current(self) -> Release | None:
        link = self.root / "current"
        return Release(self.root / "releases" / link.readlink().name) if link.is_symlink() else None

    def _audited_digest(self, candidate: Candidate) -> str:
        path = candidate.path / "gate_report.json"
        report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if report.get("passed") is not True:
            raise NotAudited(f"Candidate {candidate.id} has not passed the gate: it is not published. Audit it first.")
        if list(candidate.path.glob("*.wal")):
            raise NotAudited(f"Candidate {candidate.id} was not closed cleanly (a .wal lies beside it). Build again.")
        digest = sha256(candidate.database)
        if digest != report["database_sha256"]:
            raise NotAudited(f"Candidate {candidate.id} changed after its audit. Build and audit it again.")
        return digest

    def _point_to(self, release: Release) -> None:
        link = self.root / f".current.{secrets.token_hex(3)}"
        link.symlink_to(Path("releases") / release.id)  # relative: the folder may be mounted elsewhere
        link.replace(self.root / "current")
        sync(self.root)

    def _prune(self) -> None:
        keep = {release.id for release in self.releases()[: self.releases_kept]} | {self.current().id}
        for release in self.releases():
            if release.id not in keep:
                shutil.rmtree(release.path)


def sha256(path: Path) -> str:
    """The digest of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def now() -> datetime:
    """The time of an attempt. Never part of what is computed."""
    return datetime.now(UTC)
