"""The profiles that are kept: each as JSON, from which the next one tells what changed, and as the page people read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from quality.profile.findings import Profile, Scope
from storage.files import write_bytes, write_json

# Of each scope, so that those made by hand push out none of the weekly ones, of which 20 reach back over a quarter of a
# year. A profile of the demo's sources takes half a megabyte with its page.
KEPT = 20
_PROFILE = TypeAdapter(Profile)


@dataclass(frozen=True)
class _Scoped:
    """What is read of a profile to tell its scope."""

    scope: Scope


_SCOPED = TypeAdapter(_Scoped)


def keep(lake_dir: Path, profile: Profile, page: str) -> Path:
    """Keep a profile and its page, and let go of the oldest of its scope beyond `KEPT`. Returns the page's file."""
    folder = lake_dir / "profiles"
    html = folder / f"{profile.profile_id}.html"
    write_bytes(html, page.encode())
    write_json(html.with_suffix(".json"), profile)  # last: a profile without its page does not count
    of_scope = [path for path in sorted(folder.glob("*.json")) if _scope_of(path) in {None, profile.scope}]
    for old in of_scope[:-KEPT]:
        old.unlink(missing_ok=True)
        old.with_suffix(".html").unlink(missing_ok=True)
    return html


def pages(lake_dir: Path) -> dict[str, Path]:
    """The page of every profile that is kept, by its id, newest first: ids sort by time."""
    kept = sorted((lake_dir / "profiles").glob("*.json"), reverse=True)
    return {path.stem: path.with_suffix(".html") for path in kept}


def earlier(lake_dir: Path) -> Iterator[Profile]:
    """The profiles that are kept, newest first; without those that this version of the code cannot read."""
    for page in pages(lake_dir).values():
        try:
            yield _PROFILE.validate_json(page.with_suffix(".json").read_bytes())
        except (OSError, ValidationError):
            continue


def _scope_of(path: Path) -> Scope | None:
    """None of a profile that this version of the code cannot read: such ones go with the oldest of any scope."""
    try:
        return _SCOPED.validate_json(path.read_bytes()).scope
    except (OSError, ValidationError):
        return None
