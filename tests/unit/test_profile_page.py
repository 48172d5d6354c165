"""Profiles of a lake: what they show to people, what they never show, and what they say has changed."""

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from liftoff import exploring
from liftoff.exploring import explore
from liftoff.looks import NothingToShow
from liftoff.plan import Window
from quality.profile import kept, words
from quality.profile.diff import compare
from quality.profile.findings import Previous, Profile, Scope, Table
from quality.profile.measure import measure
from quality.profile.page import render, render_notice
from quality.report import PERSONAL
from storage.days import now
from storage.errors import LiftoffError, WrongUsage
from storage.files import new_id
from storage.lake import Lake
from storage.settings import load_settings
from tests.unit.landed import LAUNCH, land, profiled
from tests.unit.test_gate_page import HOSTILE, Tags
from tests.unit.test_profile import orders

# Three users on six devices, forty events a day.
EVENTS = """
    select
        'event-' || '{day}' || '-' || number as event_id,
        ['app_start', 'app_ready'][number % 2 + 1] as event_name,
        1::bigint as schema_version,
        if(number % 4 = 0, null, 'user-' || number % 3) as user_id,
        'dev_' || number % 6 as device_id,
        'session-' || '{day}' || '-' || number % 9 as session_id,
        ['android', 'web'][number % 2 + 1] as platform,
        if(number % 2 = 0, 'cold', null) as start_type,
        timestamp '{day}' + to_minutes(number * 30) as event_at,
        timestamp '{day}' + to_minutes(number * 30) - to_seconds(4) as sent_at,
        timestamp '{day}' + to_minutes(number * 30) + to_seconds(3) as received_at
    from range(40) _(number)
"""
ACCOUNTS = """
    select
        number as change_id, timestamp '{day}' + to_seconds(number) as changed_at, 'created' as change_type,
        'user-' || number as user_id, timestamp '{day}' as created_at, 'hash-of-mail-' || number as email_hash,
        'hash-of-name-' || number as full_name_hash, 1900 + number as birth_year, 'NA' as country_code,
        'web' as acquisition_platform, true as has_marketing_consent
    from range(60) _(number)
"""


def day(number: int) -> date:
    return LAUNCH + timedelta(days=number)


@pytest.fixture
def lake() -> Lake:
    """Four days of events, and a day of accounts."""
    lake = Lake(load_settings().lake_dir)
    for number in range(4):
        land(lake, "events", "events", day(number), EVENTS)
    land(lake, "warehouse", "account_changes", day(0), ACCOUNTS)
    return lake


def page_of(profile: Profile) -> str:
    return kept.pages(load_settings().lake_dir)[profile.profile_id].read_text(encoding="utf-8")


def profile_of(*tables: Table) -> Profile:
    return Profile(new_id(), Scope(), now(), 0.1, day(0), day(9), 3, tables)


def test_all_that_landed_is_profiled_and_the_profile_is_kept_with_its_page(lake: Lake) -> None:
    profile = explore()
    assert [(table.name, table.rows, len(table.days)) for table in profile.tables] == [
        ("events", 160, 4),
        ("warehouse.account_changes", 60, 1),
    ]
    assert (profile.start, profile.end) == (day(0), day(3))
    assert next(kept.earlier(lake.root)) == profile
    assert "events" in page_of(profile)
    assert not list((lake.root / "pending").iterdir()), "the links to the landings are gone"


def test_a_window_and_a_table_narrow_it(lake: Lake) -> None:
    (events,) = explore(Window(day(1), day(2)), "events").tables
    assert [one.day for one in events.days] == [day(1), day(2)]
    assert events.rows == 80
    land(lake, "world_bank", "countries", day(0), "select 'NA' as country_iso2")
    assert [table.name for table in explore(Window(day(3), day(3))).tables] == ["events", "world_bank.countries"]


def test_nothing_to_profile_is_a_sentence(lake: Lake) -> None:
    with pytest.raises(NothingToShow, match=f"Nothing landed from {day(7)} to {day(8)}.*{day(0)} to {day(3)}"):
        explore(Window(day(7), day(8)))
    with pytest.raises(WrongUsage, match="No table payments has landed"):
        explore(table="payments")
    for path in (lake.root / "raw").rglob("*.json"):
        path.unlink()
    with pytest.raises(NothingToShow, match="liftoff run"):
        explore()


def test_a_file_that_cannot_be_read_is_named_with_its_table(lake: Lake) -> None:
    (lake.landing_dir("events", "events", day(1)) / "data.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(LiftoffError, match="events cannot be profiled"):
        explore()


def test_what_lands_meanwhile_does_not_mix_with_what_is_profiled(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def land_and_measure(*arguments: Any) -> Any:
        land(lake, "events", "events", day(2), EVENTS.replace("range(40)", "range(7)"))
        return measure(*arguments)

    monkeypatch.setattr(exploring, "measure", land_and_measure)
    (events,) = explore(table="events").tables
    assert events.rows == sum(events.splits["platform"]["web"]) + sum(events.splits["platform"]["android"]) == 160


def test_neither_page_nor_json_shows_an_identifier(lake: Lake) -> None:
    profile = explore()
    said = page_of(profile) + (lake.root / "profiles" / f"{profile.profile_id}.json").read_text()
    for word in ("user-", "dev_", "session-", f"event-{day(0)}", "hash-of", "1900", "1959"):
        assert word not in said
    assert "app_start" in said, "what identifies nobody is shown"
    events, accounts = profile.tables
    personal = {column.name for table in (events, accounts) for column in table.columns if column.is_personal}
    assert personal == {*PERSONAL.intersection(column.name for column in events.columns), *personal - PERSONAL}
    assert personal - PERSONAL == {"email_hash", "full_name_hash", "birth_year"}
    assert next(column for column in events.columns if column.name == "user_id").distinct == 3


def test_a_page_fetches_nothing_and_runs_nothing_and_what_was_sent_is_text(lake: Lake) -> None:
    sql = "'" + HOSTILE.replace("'", "''").replace("{", "{{").replace("}", "}}") + "'"
    land(lake, "events", "events", day(4), EVENTS.replace("'android'", sql))
    html = page_of(explore())
    tags = Tags(html)
    assert not tags.names & {"script", "link", "img", "iframe", "object", "form"}
    assert not tags.attributes & {"onerror", "src", "onload"}
    assert "alert(" in html, "it is there, as text"
    assert "<script" not in html
    assert "url(" not in html
    assert "@import" not in html
    assert {link[0] for link in tags.links} == {"#"}


def test_a_page_has_a_section_for_every_table_and_a_row_for_every_column(lake: Lake) -> None:
    assert lake
    profile = explore()
    html = page_of(profile)
    for table in profile.tables:
        assert html.count(f'<h2 id="{table.name}">') == 1
        for column in table.columns:
            assert f"<code>{column.name}</code>" in html
    assert html.count('class="marks"') == 4, "by day and kind, by day and platform, by hour, by lateness"
    assert "This is the first profile of all that has landed: there is none to compare with." in html


def test_charts_take_their_colours_from_the_page(lake: Lake) -> None:
    assert lake
    html = page_of(explore())
    charts = html[html.index('class="marks"') : html.rindex('class="marks"')]
    assert 'fill="var(--c1)"' in charts
    assert 'fill="#' not in charts, "a fixed colour cannot be read in light and in dark"


def test_a_notice_is_a_page_too() -> None:
    assert "<h1>Nothing &amp; no one</h1>" in render_notice("Nothing & no one", "Try again.")


def test_the_same_again_changes_nothing_and_says_since_when(lake: Lake) -> None:
    assert lake
    first, second = explore(), explore()
    assert (second.previous, second.changes) == ((Previous(first.profile_id, day(0), day(3)),), ())
    since = f"Nothing changed beyond chance since profile <code>{first.profile_id}</code> of {day(0)} to {day(3)}."
    assert since in " ".join(page_of(second).split())


def test_a_profile_of_one_table_does_not_hide_the_others_from_the_next_comparison(lake: Lake) -> None:
    first = explore()
    narrow = explore(table="events")
    land(lake, "warehouse", "account_changes", day(0), ACCOUNTS.replace("'web'", "'tv'"))
    changed = explore()
    assert [(one.table, one.column, one.says) for one in changed.changes] == [
        ("warehouse.account_changes", "acquisition_platform", "has new values"),
        ("warehouse.account_changes", "acquisition_platform", "has lost values"),
    ]
    assert [one.profile_id for one in changed.previous] == [narrow.profile_id, first.profile_id]
    assert all(one.profile_id in page_of(changed) for one in changed.previous)
    assert first.previous == ()


def test_a_profile_is_compared_with_those_of_as_many_days_alone(lake: Lake) -> None:
    land(lake, "events", "events", day(3), EVENTS.replace("range(40)", "range(4)"))
    everything, weekend = explore(), explore(Window(day(2), day(3)))
    sunday = explore(Window(day(3), day(3)))
    assert (weekend.previous, sunday.previous) == ((), ())
    assert "This is the first profile of 1 day: there is none to compare with." in page_of(sunday)
    again, before = explore(), explore(Window(day(0), day(1)))
    assert ([one.profile_id for one in again.previous], again.changes) == ([everything.profile_id], ())
    assert before.previous == (Previous(weekend.profile_id, day(2), day(3)),)
    assert f"profile <code>{weekend.profile_id}</code> of {day(2)} to {day(3)}" in page_of(before)


CHANGED = {
    "a column that is new": ({"channel": "'app'"}, [("channel", "is new", "", "VARCHAR")]),
    "another type": (
        {"order_id": "(day_number * 1000 + number)::int"},
        [("order_id", "has another type", "BIGINT", "INTEGER")],
    ),
    "more nulls": (
        {"note": "if(number % 20 = 0, 'note ' || number, null)"},
        [("note", "is null in another share of rows", "80%", "95.0%")],
    ),
    "a new value": (
        {"status": "['paid', 'sent', 'returned', 'lost'][number % 4 + 1]"},
        [("status", "has new values", "", "lost (1,000)")],
    ),
    "a value that is gone": (
        {"status": "['paid', 'sent'][number % 2 + 1]"},
        [("status", "has lost values", "returned (1,330)", "")],
    ),
    "other amounts": (
        {"amount": "(50 + hash(number, day_number) % 4000 / 100)::decimal(18,4)"},
        [("amount", "has another median", "24.34", "69.34")],
    ),
    "a broken key": (
        {"order_id": "day_number * 1000 + greatest(number, 1)"},
        [("", "breaks its declared key", "0 repeats", "10 repeats")],
    ),
}


@pytest.mark.parametrize(("changed", "expected"), CHANGED.values(), ids=CHANGED)
def test_a_change_is_named_with_before_and_after(
    tmp_path: Path, changed: dict[str, str], expected: list[tuple[str, str, str, str]]
) -> None:
    before, after = profiled(tmp_path / "before", orders()), profiled(tmp_path / "after", orders(**changed))
    found = compare(profile_of(after), [profile_of(before)])
    assert [(one.column, one.says, one.before, one.after) for one in found.changes] == expected
    assert all(said in render(found) for one in found.changes for said in (one.says, one.before, one.after))


def test_another_level_of_volume_is_a_change_and_a_longer_window_is_none(tmp_path: Path) -> None:
    before = profiled(tmp_path / "before", orders()[:5])
    longer = profiled(tmp_path / "longer", orders())
    fewer = profiled(tmp_path / "fewer", orders(rows="200"))
    assert compare(profile_of(longer), [profile_of(before)]).changes == ()
    (change,) = compare(profile_of(fewer), [profile_of(before)]).changes
    assert (change.says, change.before, change.after) == ("has fewer rows a day", "400", "200")


def test_a_column_or_a_table_that_is_gone_or_new_is_a_change(tmp_path: Path) -> None:
    table = profiled(tmp_path, orders()[:1])
    less = replace(table, columns=table.columns[1:])
    other = replace(table, table="refunds", name="shop.refunds")
    found = compare(profile_of(less, other), [profile_of(table)]).changes
    assert [(one.table, one.column, one.says) for one in found] == [
        ("shop.orders", "order_id", "is gone"),
        ("shop.refunds", "", "is new"),
    ]
    of_orders = replace(profile_of(table), scope=Scope(None, "orders"))
    assert not compare(profile_of(table, other), [of_orders]).changes, "nobody had asked for the other one"


def test_the_last_profiles_are_kept_and_an_unreadable_one_is_passed_over(tmp_path: Path) -> None:
    for number in range(kept.KEPT + 3):
        profile = replace(profile_of(), profile_id=f"2026010{number // 10}T{number % 10}")
        kept.keep(tmp_path, profile, f"page {number}")
    pages = kept.pages(tmp_path)
    assert len(pages) == kept.KEPT
    assert [path.read_text() for path in pages.values()][::-1] == [
        f"page {number}" for number in range(3, kept.KEPT + 3)
    ]
    assert len(list((tmp_path / "profiles").iterdir())) == 2 * kept.KEPT
    for scope in (Scope(1), Scope(None, "events")):
        by_hand = replace(profile_of(), scope=scope)
        kept.keep(tmp_path, by_hand, "by hand")
        assert len(kept.pages(tmp_path)) == kept.KEPT + 1, "it pushes out none of all that has landed"
        kept.pages(tmp_path)[by_hand.profile_id].with_suffix(".json").unlink()
    newest, second, *_ = kept.pages(tmp_path)
    (tmp_path / "profiles" / f"{newest}.json").write_text(json.dumps({"of": "another version"}))
    assert next(kept.earlier(tmp_path)).profile_id == second


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1, "100%"),
        (0.99999, "99.9%"),
        (0.5, "50%"),
        (0.0123, "1.2%"),
        (0.00041, "0.041%"),
        (0, "0%"),
        (1e-9, "< 0.0001%"),
    ],
)
def test_a_share_is_never_all_or_nothing_when_it_is_not(value: float, shown: str) -> None:
    assert words.share(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1234567.0, "1,234,567"), (0.123456, "0.1235"), (12345.678, "12,350"), (3.5, "3.5"), (-2.0, "-2")],
)
def test_a_number_has_the_digits_that_count(value: float, shown: str) -> None:
    assert words.number(value) == shown


def test_the_grain_is_said_in_a_sentence(tmp_path: Path) -> None:
    clean = profiled(tmp_path / "clean", orders()[:3])
    assert words.grain(clean) == "One row per order_id, as declared; ordered_at would do too."
    comes_back = profiled(tmp_path / "back", orders(order_id="number + if(number > 0, day_number * 1000, 0)")[:3])
    assert words.grain(comes_back) == "One row per order_id and landing; 2 rows come back in a later landing."
    undeclared = profiled(tmp_path / "none", orders()[:1], key=())
    assert words.grain(undeclared) == "One row per order_id, or per ordered_at."
    broken = profiled(tmp_path / "broken", orders(order_id="number // 2")[:1])
    assert words.grain(broken) == "Declared as one row per order_id, which 200 rows break."
