"""The profile's charts, as SVG that takes its colours from the page around it: readable in light and dark."""

import io
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import altair as alt
from markupsafe import Markup

from quality.profile.findings import Lateness
from quality.profile.times import DAY, HOUR, MINUTE

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WIDTH = 690
COLOURS = tuple(f"var(--c{number})" for number in range(1, 10))
_DAY_AXIS = alt.Axis(format="%-d %b", tickCount=8, grid=False)
_BY_DAY = alt.X("day:T", timeUnit="utcyearmonthdate", title=None, axis=_DAY_AXIS)


def rows_by_day(days: Sequence[date], split: Mapping[str, Sequence[int]], *, as_shares: bool) -> Markup:
    """A bar a landing, split by the values of a column."""
    kinds = list(split)[: len(COLOURS)]
    values = [
        {"day": str(day), "kind": kind, "order": number, "rows": rows}
        for number, kind in enumerate(kinds)
        for day, rows in zip(days, split[kind], strict=True)
    ]
    axis = alt.Axis(format="%", tickCount=4) if as_shares else alt.Axis(format="~s", tickCount=4)
    return _drawn(
        _chart_of(values)
        .mark_bar(width={"band": 0.86}, aria=False)
        .encode(
            x=_BY_DAY,
            y=alt.Y("rows:Q", title=None, axis=axis, stack="normalize" if as_shares else "zero"),
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=kinds, range=COLOURS[: len(kinds)]),
                legend=alt.Legend(title=None, orient="top", columns=5, columnPadding=28, symbolType="square"),
            ),
            order="order:Q",
        )
        .properties(width=WIDTH, height=140 if as_shares else 200)
    )


def rows_by_hour(hours: Sequence[Sequence[int]]) -> Markup:
    """Weekday by hour, the busier the darker."""
    values = [
        {"weekday": WEEKDAYS[weekday], "hour": hour, "rows": rows}
        for weekday, by_hour in enumerate(hours)
        for hour, rows in enumerate(by_hour)
    ]
    return _drawn(
        _chart_of(values)
        .mark_rect(fill=COLOURS[0], cornerRadius=2, width={"band": 0.94}, height={"band": 0.9}, aria=False)
        .encode(
            x=alt.X("hour:O", title=None, axis=alt.Axis(labelAngle=0, ticks=False, domain=False)),
            y=alt.Y("weekday:O", title=None, sort=list(WEEKDAYS), axis=alt.Axis(ticks=False, domain=False)),
            opacity=alt.Opacity("rows:Q", scale=alt.Scale(domainMin=0, range=[0.04, 1]), legend=None),
        )
        .properties(width=WIDTH, height=160)
    )


def seconds_late(lateness: Lateness) -> Markup:
    """A bar for each span of seconds, from at once to days."""
    total = sum(rows for _, rows in lateness.within)
    names = [span(bound) if bound else "later" for bound, _ in lateness.within]
    values = [
        {"within": name, "share": rows / total, "said": f"{rows / total:.1%}" if rows / total >= 0.0005 else ""}
        for name, (_, rows) in zip(names, lateness.within, strict=True)
    ]
    bars = _chart_of(values).encode(
        x=alt.X("within:O", title=None, sort=names, axis=alt.Axis(labelAngle=0, ticks=False)),
        y=alt.Y("share:Q", title=None, axis=alt.Axis(format="%", tickCount=4)),
    )
    labels = bars.mark_text(dy=-7, fontSize=10, fill="var(--soft)", aria=False).encode(text="said:N")
    bar = bars.mark_bar(fill=COLOURS[0], width={"band": 0.86}, aria=False)
    return _drawn((bar + labels).properties(width=WIDTH, height=150))


def span(seconds: int) -> str:
    """A span of time as an axis shows it: `90` is `90 s`, `7200` is `2 h`."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def _chart_of(values: list[dict[str, Any]]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=values))


def _drawn(chart: Any) -> Markup:
    file = io.StringIO()
    lines = dict.fromkeys(("gridColor", "domainColor", "tickColor"), "var(--line)")
    (
        chart.configure(background="transparent", font="system-ui, sans-serif")
        .configure_axis(**lines, labelColor="var(--soft)", labelFontSize=11)
        .configure_view(stroke=None)
        .configure_legend(labelColor="var(--soft)", labelFontSize=11)
        .save(file, format="svg")
    )
    return Markup(file.getvalue())  # noqa: S704 - drawn from numbers; Vega escapes the names of values
