"""Lineage on small queries: each column names the fields it is made from, of the right events, and no others."""

import pytest

from liftoff.lineage import Column, LineageError, Relation, Use, relation_of, uses_of

FIELDS = {
    **dict.fromkeys(("event_id", "event_name", "user_id", "device_id", "platform"), ("start", "crash", "beat")),
    "phase": ("crash",),
    "seconds": ("beat",),
    "title_id": ("beat", "start"),
}
EVENTS = Relation({name: Column(frozenset(Use(name, one) for one in of), name) for name, of in FIELDS.items()})
OTHERS = Relation({"device_id": Column(), "owner": Column()})
KNOWN = {"events": EVENTS, "others": OTHERS}


def made_from(sql: str) -> set[str]:
    """What the column x of a query is made from, its rows included."""
    return said(relation_of(sql, KNOWN).uses("x"))


def said(uses: frozenset[Use]) -> set[str]:
    """Fields, with their events where it is not all that carry them: `phase`, `title_id of beat`."""
    events = {use.field: {one.event for one in uses if one.field == use.field} for use in uses}
    return {
        field if of == set(FIELDS[field]) else f"{field} of {', '.join(sorted(of))}" for field, of in events.items()
    }


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select phase as x from events", {"phase"}),
        ("select 1 as x from events", set()),
        ("select upper(phase) || platform as x from events", {"phase", "platform"}),
        ("select phase as y, y || 'z' as x from events", {"phase"}),
        ("select event_id, phase as x from (select * from events) as e", {"phase"}),
        ("with a as (select phase as b from events), c as (select b as d from a) select d as x from c", {"phase"}),
        ("with a as (select * from events) select a.*, a.platform as x from a", {"platform"}),
        ("select max_by(phase, platform) as x from events", {"phase", "platform"}),
    ],
)
def test_values_are_followed_through_names_expressions_and_queries(sql: str, expected: set[str]) -> None:
    assert made_from(sql) == expected


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("where platform = 'tv'", {"platform"}),
        ("group by platform", {"platform"}),
        ("group by device_id having max(platform) = 'tv'", {"device_id", "platform"}),
        ("qualify row_number() over (partition by device_id order by platform) = 1", {"device_id", "platform"}),
        ("order by platform limit 3", {"platform"}),
        ("order by platform", set()),
        ("where exists (select 1 from others where others.device_id = events.device_id)", {"device_id"}),
        ("where device_id in (select device_id from events where platform = 'tv')", {"device_id", "platform"}),
    ],
)
def test_what_decides_on_rows_is_used_by_every_column(clause: str, expected: set[str]) -> None:
    assert made_from(f"select count(*) as x from events {clause}") == expected


def test_a_distinct_row_is_made_from_all_its_columns() -> None:
    assert made_from("select distinct platform, 1 as x from events") == {"platform"}


@pytest.mark.parametrize(
    ("join", "column", "expected"),
    [
        ("others inner join seen on others.device_id = seen.device_id", "owner", {"device_id", "platform"}),
        ("others cross join seen", "owner", {"platform"}),
        ("others left join seen on others.device_id = seen.device_id", "owner", set()),
        ("others left join seen on others.device_id = seen.device_id", "user_id", {"user_id", "device_id", "platform"}),
        ("others full join seen on others.device_id = seen.device_id", "owner", {"device_id", "platform"}),
    ],
)
def test_a_left_join_alone_leaves_the_rows_of_its_left_side(join: str, column: str, expected: set[str]) -> None:
    seen = "with seen as (select device_id, user_id from events where platform = 'tv')"
    assert made_from(f"{seen} select {column} as x from {join}") == expected


def test_a_union_is_made_from_both_sides_by_place_and_by_name() -> None:
    by_place = "select phase as x, 1 as y from events union all select platform, user_id from events"
    assert made_from(by_place) == {"phase", "platform"}
    by_name = "select phase as x, 1 as y from events union all by name select 2 as y, platform as x from events"
    assert made_from(by_name) == {"phase", "platform"}
    assert made_from("select 1 as x, phase from events union select 2, platform from events") == {"phase", "platform"}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select count(*) filter (where event_name = 'crash') as x from events", {"event_name of crash"}),
        ("select count(*) as x from events where event_name in ('crash', 'beat')", {"event_name of beat, crash"}),
        ("select bool_or('start' = event_name) as x from events", {"event_name of start"}),
        ("select count(*) as x from events where event_name <> 'crash'", {"event_name of crash"}),
        (
            "select max(platform) filter (where event_name = 'crash') as x from events",
            {"event_name of crash", "platform of crash"},
        ),
        (
            "select case when event_name = 'beat' then title_id else phase end as x from events",
            {"event_name of beat", "title_id of beat", "phase"},
        ),
        (
            "select case event_name when 'beat' then title_id end as x from events",
            {"event_name of beat", "title_id of beat"},
        ),
        (
            "select bool_or(event_name = 'crash' and platform = 'tv') as x from events",
            {"event_name of crash", "platform of crash"},
        ),
        (
            "select title_id as x from events where not event_name = 'beat'",
            {"event_name of beat", "title_id of start"},
        ),
        (
            "select title_id as x from events where event_name = 'beat' or event_name = 'crash'",
            {"event_name of beat, crash", "title_id of beat"},
        ),
        (
            "select title_id as x from events where event_name = 'beat' or platform = 'tv'",
            {"event_name of beat", "title_id", "platform"},
        ),
        (
            "with a as (select event_name as kind, title_id as t from events) select t as x from a where kind = 'beat'",
            {"event_name of beat", "title_id of beat"},
        ),
        ("select platform as x from events where seconds is not null", {"platform of beat", "seconds"}),
        ("select platform as x from events where seconds + 1 is not null", {"platform", "seconds"}),
        (
            """
            with filled as (select platform, coalesce(seconds, 0) as s from events)
            select platform as x from filled where s is not null
            """,
            {"platform", "seconds"},
        ),
        (
            "select title_id as x from events where event_name = 'beat' and event_name <> 'crash'",
            {"event_name of beat", "title_id of beat"},
        ),
        (
            "select title_id as x from others inner join events as e on e.event_name = 'beat'",
            {"event_name of beat", "title_id of beat"},
        ),
        (
            "select title_id as x from others left join events as e on e.event_name = 'beat'",
            {"event_name of beat", "title_id of beat"},
        ),
    ],
)
def test_a_condition_on_the_events_name_leaves_the_fields_of_that_event(sql: str, expected: set[str]) -> None:
    assert made_from(sql) == expected


def test_what_a_window_takes_from_other_rows_is_not_of_the_event_that_is_asked_for() -> None:
    named = "select *, first_value(user_id ignore nulls) over (partition by device_id order by event_id) as who"
    asked = f"with named as ({named} from events) select who as x from named where event_name = 'crash'"
    assert made_from(asked) == {"user_id", "device_id", "event_id", "event_name of crash"}


def test_the_name_of_an_event_says_nothing_of_the_fields_of_another_one_beside_it() -> None:
    pairs = "select a.event_name, b.title_id from events as a inner join events as b on a.device_id = b.device_id"
    found = made_from(f"with pairs as ({pairs}) select title_id as x from pairs where event_name = 'crash'")
    assert found == {"title_id", "device_id", "event_name of crash"}


def test_ties_can_be_left_out() -> None:
    sql = "select row_number() over (partition by device_id order by event_id, platform, phase) as x from events"
    assert said(relation_of(sql, KNOWN).uses("x")) == {"device_id", "event_id", "platform", "phase"}
    assert said(relation_of(sql, KNOWN, ties_count=False).uses("x")) == {"device_id", "event_id"}


def test_a_file_is_known_by_its_path_and_a_table_function_is_made_of_nothing() -> None:
    sql = "select read.platform as x from read_parquet(['a/b.parquet'], union_by_name = true) as read"
    assert said(relation_of(sql, {"a/b.parquet": EVENTS}).uses("x")) == {"platform"}
    assert made_from("select range as x from range(0, 24)") == set()


def test_an_expression_over_a_relation_is_made_from_its_rows_too() -> None:
    crashes = relation_of("select phase, platform as p from events where event_name = 'crash'", KNOWN)
    assert said(uses_of("case when p = 'tv' then 1 end", crashes)) == {"event_name of crash", "platform of crash"}
    assert said(uses_of("1", crashes)) == {"event_name of crash"}


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("select phase from nowhere", "table nowhere is not known"),
        ("select phaze from events", "column phaze is not known"),
        ("select e.phaze from events as e", r"column e\.phaze is not known"),
        ("select a.phase from events", r"column a\.phase is not known"),
        ("select phase from events join others using (device_id)", "cannot be followed"),
        ("select platform, count(*) from events group by all", "cannot be followed"),
        ("drop table events", "cannot be followed"),
    ],
)
def test_what_cannot_be_followed_is_refused_and_quoted(sql: str, complaint: str) -> None:
    with pytest.raises(LineageError, match=complaint):
        relation_of(sql, KNOWN)
