"""The templates of pages for people: each a whole document, with no script and nothing to fetch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

TEMPLATES = Path(__file__).parent / "templates"


def template(path: Path, **filters: Callable[..., Any]) -> Template:
    """A template that includes what all pages look like as `tokens.css`.

    Every value in an `.html` file is escaped. A name that is not there is an error.

    Raises:
        jinja2.TemplateError: there is no such file, or it cannot be parsed.
    """
    environment = Environment(
        loader=FileSystemLoader([path.parent, TEMPLATES]),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(path.name)
