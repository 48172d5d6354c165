"""The profiles that are kept: each as JSON, from which the next one tells what changed, and as the page people read."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from quality.profile.findings import Profile
from storage.files import write_bytes, write_json

# One a week: the last 20 reach back over a quarter of a year.
KEPT = 20
_PROFILE = TypeAdapter(Profile)


def keep(lake_dir: Path, profile: Profile, page: str) -> Path:
    """Keep a profile and its page, and let go of the oldest beyond `KEPT`. Returns the page's file."""
    folder = lake_dir / "profiles"
    html = folder / f"{profile.profile_id}.html"
    write_bytes(html, page.encode())
    write_json(html.with_suffix(".json"), profile)  # last: a profile without its page does not count
    for old in sorted(folder.glob("*.json"))[:-KEPT]:
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
