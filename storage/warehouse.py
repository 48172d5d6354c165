"""The warehouse: releases, which readers see, and candidates, which nobody sees until they passed their audit.

current -> releases/<id>      a relative link, swapped in one step
releases/<id>/                liftoff.duckdb, semantic_manifest.json, manifest.json, gate_report.json and .html
candidates/<id>/              what one build works on: a copy of its parent release, or everything anew
rejected/<id>/                what failed its audit
"""

import dataclasses
import json
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from storage.days import now
from storage.errors import Blocked, LiftoffError
from storage.files import exclusive, new_id, remove_older_than, replace, sha256, sync, write_bytes, write_json
from storage.lake import Partition

# DuckDB names the catalog after the file, and dbt writes that name into what it compiles: the same in each release.
DATABASE = "liftoff.duckdb"


class NoRelease(LiftoffError):
    """Nothing was published yet, or the release that was asked for is not there."""


class ReleaseDamaged(Blocked):
    """A release is not what was published any more."""

    def __init__(self, release_id: str) -> None:
        super().__init__(
            f"Release {release_id} is not what was published any more. Go back to one that is: liftoff releases lists "
            "them, and liftoff rollback RELEASE refuses those that are damaged too. If none is left, remove the link "
            "`current` in the warehouse's folder: readers see nothing then, until the next build has made everything "
            "anew from what has landed."
        )


class NotAudited(LiftoffError):
    """A candidate without a passed gate report, or one that changed after its audit, was to be published."""


class Overtaken(LiftoffError):
    """Another build published first. `winner` is the id of its release."""

    def __init__(self, build: "Begun", winner: str | None) -> None:
        self.winner = winner
        super().__init__(
            f"Build {build.id} was not published: it started from {build.parent or 'nothing'}, and "
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
    code_version: str
    """Version of the package, and a digest over all code and contracts."""
    inputs: tuple[Partition, ...]
    database_sha256: str = ""
    database_bytes: int = 0
    semantic_manifest_sha256: str = ""
    """Empty in a release that was made before there was one."""
    gate_id: str = ""
    """The audit that let it be published: `liftoff report` finds its report. Empty as above."""


@dataclass(frozen=True)
class _BuildFolder:
    path: Path

    @property
    def id(self) -> str:
        """Its name, which sorts by the time its build began."""
        return self.path.name

    @property
    def database(self) -> Path:
        """The DuckDB file: of a release, to be opened read-only."""
        return self.path / DATABASE

    @property
    def semantic_manifest(self) -> Path:
        """How metrics follow from the tables, as dbt writes it for MetricFlow."""
        return self.path / "semantic_manifest.json"


@dataclass(frozen=True)
class Release(_BuildFolder):
    """One published folder. It never changes."""

    @cached_property
    def manifest(self) -> Manifest:
        """What it was made from.

        Raises:
            ReleaseDamaged: it is gone, or does not say it any more.
        """
        try:
            return TypeAdapter(Manifest).validate_json((self.path / "manifest.json").read_bytes())
        except (OSError, ValidationError) as error:
            raise ReleaseDamaged(self.id) from error

    @property
    def manifest_if_readable(self) -> Manifest | None:
        """The same for what goes on without a damaged release."""
        with suppress(ReleaseDamaged):
            return self.manifest
        return None

    @property
    def gate_id(self) -> str:
        """The audit that let it pass. Empty when it does not say so any more."""
        manifest = self.manifest_if_readable
        return manifest.gate_id if manifest else ""

    def is_intact(self) -> bool:
        """Whether what it is read from is, byte for byte, what was published."""
        if (manifest := self.manifest_if_readable) is None:
            return False
        published = {self.database: manifest.database_sha256}
        if manifest.semantic_manifest_sha256:
            published[self.semantic_manifest] = manifest.semantic_manifest_sha256
        with suppress(OSError):
            return all(sha256(path) == digest for path, digest in published.items())
        return False


@dataclass(frozen=True)
class Begun:
    """How a build started: its id, the release that readers saw then, and when."""

    id: str
    parent: str | None
    at: datetime


@dataclass(frozen=True)
class Candidate(_BuildFolder):
    """A release in the making. Its folder holds all that a build's steps tell each other."""

    @property
    def scratch(self) -> Path:
        """The file for staging and intermediate tables, gone when the candidate is published."""
        return self.path / "scratch.duckdb"

    @property
    def inputs(self) -> Path:
        """The landings that the build reads, linked: what is landed meanwhile does not reach it."""
        return self.path / "inputs"

    @cached_property
    def begun(self) -> Begun:
        """How the build started."""
        return TypeAdapter(Begun).validate_json((self.path / "begun.json").read_bytes())

    def take_over(self, parent: Release) -> None:
        """Copy what the release that the build starts from holds.

        Raises:
            ReleaseDamaged: that is not what was published, and would pass for audited.
        """
        with suppress(FileNotFoundError):
            shutil.copyfile(parent.database, self.database)
            if sha256(self.database) == parent.manifest.database_sha256:
                return
        raise ReleaseDamaged(parent.id)

    def keep_semantic_manifest(self, made: Path) -> None:
        """Keep beside the database what dbt made with it."""
        write_bytes(self.semantic_manifest, made.read_bytes())

    def digests(self) -> dict[str, str]:
        """Over what readers would read, by the names that a manifest has for them."""
        return {
            "database_sha256": sha256(self.database),
            "semantic_manifest_sha256": sha256(self.semantic_manifest),
        }

    def keep_report(self, report: Any, html: str, audited: Mapping[str, str]) -> None:
        """Keep the gate's report and its page beside the database, tied to the very bytes that the audit began with:
        `digests` of then.
        """
        write_bytes(self.path / "gate_report.html", html.encode())
        write_json(self.path / "gate_report.json", {**audited, **report})


class Warehouse:
    """The releases below one folder."""

    def __init__(self, root: Path, *, releases_kept: int) -> None:
        self.root = root
        self.releases_kept = releases_kept

    def current(self) -> Release:
        """The release that readers see. Resolve it once, then read: it stays readable while others are published.

        Raises:
            NoRelease: nothing was published yet, or the link to it is gone.
        """
        if release := self._current():
            return release
        raise NoRelease(self.why_none())

    def why_none(self) -> str:
        """Why readers see no release, and what to do."""
        if history := self.history():
            return (
                f"The link {self.root / 'current'} is gone, so that readers see no release. Show the last one again "
                f"(liftoff rollback {history[-1]['release']}), or have everything made anew by the next build."
            )
        return "Nothing was published yet. Start with load_window in Airflow's UI, or here with: liftoff run --help"

    def releases(self) -> list[Release]:
        """All that readers were ever shown and that are kept, the newest first."""
        shown = {entry["release"] for entry in self.history()}
        paths = sorted((self.root / "releases").glob("*"), reverse=True)
        return [release for path in paths if (release := Release(path)).id in shown or release == self._current()]

    def history(self) -> list[dict[str, str]]:
        """What readers were shown since when, the oldest first: `release`, `at`, and `why` (publish or rollback)."""
        path = self.root / "history.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def release(self, release_id: str) -> Release:
        """Find a release by its id.

        Raises:
            NoRelease: it is not kept, or never was.
        """
        release = Release(self.root / "releases" / release_id)
        if release not in self.releases() and release != self._current():
            raise NoRelease(f"Release {release_id} is not kept any more, or never was: liftoff releases lists them.")
        return release

    def begin(self) -> Candidate:
        """Make a new candidate, which starts from the current release if there is one."""
        remove_older_than(self.root / "candidates", days=1)  # left behind by killed builds
        parent = self._current()
        candidate = Candidate(self.root / "candidates" / new_id())
        candidate.path.mkdir(parents=True)
        write_json(candidate.path / "begun.json", Begun(candidate.id, parent.id if parent else None, now()))
        return candidate

    def candidate(self, candidate_id: str) -> Candidate:
        """Find a candidate that another process began, wherever it has got to.

        Raises:
            LiftoffError: it was rejected, or given up.
        """
        for folder in ("candidates", "releases"):
            if (path := self.root / folder / candidate_id).is_dir():
                return Candidate(path)
        was_rejected = (self.root / "rejected" / candidate_id).is_dir()
        fate = "failed its audit" if was_rejected else "was left unfinished for a day, or its release is not kept"
        raise LiftoffError(f"Candidate {candidate_id} is gone: it {fate}. Build again.")

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
        """Make `candidate` the release that readers see, atomically. Doing it again changes nothing.

        Compare-and-swap: succeeds only while `current` is still the candidate's parent.

        Raises:
            Overtaken: another build published first; build again from the new parent.
            NotAudited: the candidate has no gate report, a failed one, or changed since.
        """
        release = Release(self.root / "releases" / candidate.id)
        audit = self._passed_audit(candidate)
        begun, size = candidate.begun, candidate.database.stat().st_size
        with exclusive(self.root / ".lock"):
            current = self._current()
            if current == release:
                return release
            if (current.id if current else None) != begun.parent:
                raise Overtaken(begun, current.id if current else None)
            if candidate.path != release.path:
                _remove_workings(candidate)
                write_json(
                    candidate.path / "manifest.json",
                    dataclasses.replace(
                        manifest,
                        database_sha256=audit["database_sha256"],
                        database_bytes=size,
                        semantic_manifest_sha256=audit["semantic_manifest_sha256"],
                        gate_id=audit.get("gate_id", ""),
                    ),
                )
                sync(candidate.database)
                replace(candidate.path, release.path)
            self._show(release, "publish")
            self._prune(release)
        return release

    def roll_back(self, release_id: str | None = None) -> Release:
        """Show readers an earlier release again: `release_id`, or the parent of the current one.

        Raises:
            NoRelease: it is not kept, or there is none before the current one.
            ReleaseDamaged: it is not what was published any more, or the current one does not say what came before it.
        """
        with exclusive(self.root / ".lock"):
            wanted = release_id or self.current().manifest.parent
            if wanted is None:
                raise NoRelease("The current release is the first one: there is none before it.")
            release = self.release(wanted)
            if not release.is_intact():
                raise ReleaseDamaged(wanted)
            self._show(release, "rollback")
        return release

    def _current(self) -> Release | None:
        link = self.root / "current"
        return Release(self.root / "releases" / link.readlink().name) if link.is_symlink() else None

    def _passed_audit(self, candidate: Candidate) -> dict[str, Any]:
        path = candidate.path / "gate_report.json"
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if report.get("passed") is not True:
            raise NotAudited(f"Candidate {candidate.id} has not passed the gate: it is not published. Audit it first.")
        if list(candidate.path.glob("*.wal")):
            raise NotAudited(f"Candidate {candidate.id} was not closed cleanly (a .wal lies beside it). Build again.")
        if any(report.get(name) != digest for name, digest in candidate.digests().items()):
            raise NotAudited(f"Candidate {candidate.id} changed after its audit. Build and audit it again.")
        return report

    def _show(self, release: Release, why: str) -> None:
        current = self._current()
        if current and current.id not in {entry["release"] for entry in self.history()}:
            self._note(current, "publish")  # by a run that was killed just after it had shown it
        link = self.root / f".current.{secrets.token_hex(3)}"
        link.symlink_to(Path("releases") / release.id)  # relative: the folder may be mounted elsewhere
        link.replace(self.root / "current")
        sync(self.root)
        self._note(release, why)

    def _note(self, release: Release, why: str) -> None:
        path = self.root / "history.jsonl"
        before = path.read_bytes() if path.exists() else b""
        write_bytes(path, before + to_json({"release": release.id, "at": now(), "why": why}) + b"\n")

    def _prune(self, current: Release) -> None:
        """Keep the current release, then its ancestors, then the newest others; the rest goes.

        What was moved to `releases` by a run that was killed before it was shown was never a release: it goes too.
        """
        releases = {release.id: release for release in self.releases()}
        line: list[str] = []
        ancestor = releases.get(current.id)
        while ancestor and len(line) < self.releases_kept:
            line.append(ancestor.id)
            manifest = ancestor.manifest_if_readable
            ancestor = releases.get(manifest.parent or "") if manifest else None
        keep = [*line, *(name for name in releases if name not in line)][: self.releases_kept]
        for path in (self.root / "releases").glob("*"):
            if path.name not in keep:
                trash = self.root / "rejected" / path.name  # out of sight first: removing takes many steps
                replace(path, trash)
                shutil.rmtree(trash, ignore_errors=True)


def _remove_workings(candidate: Candidate) -> None:
    """What a build needed for itself: a release is complete without it."""
    candidate.scratch.unlink(missing_ok=True)
    shutil.rmtree(candidate.inputs, ignore_errors=True)
