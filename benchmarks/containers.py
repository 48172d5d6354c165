"""What the container platform takes, for the README: figures and pictures that `make compose` has left behind."""

import json
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
MEASURED = ROOT / "data" / "compose"
TABLES = """\
Measured by `make compose` on {date}, commit {commit}, {cores} cores, with the {base_images} base images.

| what | |
|---|---:|
| the image | {image_megabytes} MB |
| its build, downloads cached: no layer, all layers cached | {cold_build_seconds} s, {warm_build_seconds} s |
| `docker compose up --wait`: the first time, after `down` | {up_seconds} s, {up_again_seconds} s |
| `load_window` with its empty form: from trigger to release, 60 days | {load_60_days_seconds} s |
| the same, its scheduler killed in mid-run: from kill to release | {recovery_seconds} s |

| memory | peak during that load | limit |
|---|---:|---:|
{memory}
"""
BLOCK = re.compile(r"(?<=<!-- figures:start -->\n).*?(?=<!-- figures:end -->)", re.DOTALL)


def main() -> None:
    """Copy the pictures that README.md shows to docs/images, and write the figures into it."""
    path, readme = MEASURED / "figures.json", ROOT / "README.md"
    if not path.exists():
        sys.exit("There are no figures yet: run make compose first.")
    figures, text = json.loads(path.read_text()), readme.read_text()
    if not BLOCK.search(text):
        sys.exit("README.md has no line <!-- figures:start --> with a line <!-- figures:end --> after it.")
    readme.write_text(BLOCK.sub(lambda _: tables(figures), text))
    images = ROOT / "docs" / "images"
    images.mkdir(exist_ok=True)
    for name in re.findall(r"\(docs/images/([\w-]+\.png)\)", text):
        shutil.copy(MEASURED / name, images)
        print(images / name)


def tables(figures: dict[str, float | str]) -> str:
    """Two tables in Markdown: what takes how long, and the memory of each service."""
    said = {name: _rounded(value) if isinstance(value, float) else value for name, value in figures.items()}
    services = sorted(name.removeprefix("limit_") for name in figures if name.startswith("limit_"))
    services.append(services.pop(services.index("all_mebibytes")))
    memory = [
        f"| {name.split('_')[0]} | {said[f'peak_{name}']} MiB | {said[f'limit_{name}']} MiB |" for name in services
    ]
    return TABLES.format(**said, memory="\n".join(memory))


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


if __name__ == "__main__":
    main()
