"""A profile as a page: a whole document, with no script and nothing to fetch."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from functools import cache
from itertools import groupby

from jinja2 import Template

from quality.html import TEMPLATES, template
from quality.profile import words
from quality.profile.findings import Change, Lateness, Profile, Spread, Table
from storage.days import describe_days


def render(profile: Profile) -> str:
    """A profile as a page."""
    from quality.profile import charts  # Altair takes half a second to import

    return _template().render(profile=profile, charts=charts)


def render_notice(title: str, text: str) -> str:
    """A page without a profile: what is the matter, and what to do."""
    return _template().render(profile=None, title=title, text=text)


@cache
def _template() -> Template:
    return template(
        TEMPLATES / "source_profile.html",
        bars=_bars,
        box=_box,
        by_table=_by_table,
        days=describe_days,
        figure=words.figure,
        grain=words.grain,
        limits=_limits,
        moment=_moment,
        number=words.number,
        period=words.period,
        rhythm=words.rhythm,
        share=words.share,
        size=words.size,
        span=words.span,
        window=words.window,
    )


def _bars(table: Table) -> list[tuple[date, float]]:
    """The rows of each landing as a share of the most."""
    most = max(day.rows for day in table.days) or 1
    return [(day.day, day.rows / most) for day in table.days]


def _box(spread: Spread) -> tuple[float, ...]:
    """Where the quantiles at 5, 25, 50, 75 and 95% lie, in percent of the way from 1% to 99%."""
    low, *inner, high = spread.quantiles
    return tuple(100 * (value - low) / (high - low) if high > low else 50 for value in inner)


def _by_table(changes: Sequence[Change]) -> Iterator[tuple[str, list[Change]]]:
    for name, those in groupby(changes, key=lambda change: change.table):
        yield name, list(those)


def _limits(lateness: Lateness, chosen: int) -> list[tuple[int, int, float]]:
    """For each limit of days: how many rows it would refuse, and their share of all that came."""
    came = [*lateness.days, *lateness.refused_days]
    total = sum(rows for _, rows in came)
    last = min(max([chosen + 1, *(days for days, _ in came)]), chosen + 4)
    refused = [(limit, sum(rows for days, rows in came if days > limit)) for limit in range(last + 1)]
    return [(limit, rows, rows / total) for limit, rows in refused]


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
