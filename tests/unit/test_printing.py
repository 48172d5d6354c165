"""What the command line makes of what others sent."""

from datetime import date
from typing import Any

import pytest

from liftoff.printing import console, print_refused, print_table, refused_at_a_glance

COUNTED: dict[str, Any] = {
    "reason": "unknown_version",
    "source": "events",
    "table": "events",
    "event_name": "app_ready",
    "schema_version": "3",
    "app_version": "1.4.0",
    "days": 2,
    "records": 5,
}


def test_a_long_value_is_cut_where_it_is_printed_and_shows_that_it_is() -> None:
    shown = refused_at_a_glance(COUNTED | {"event_name": "e" * 40, "app_version": "4.12.0-nightly.1"})
    assert (shown["kind"], shown["app"]) == (f"events {'e' * 19}… 3", "4.12.0-nigh…")
    assert refused_at_a_glance(COUNTED)["app"] == "1.4.0"


def test_the_source_of_refused_records_is_told_and_the_widest_table_fits_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_width", 80)
    of_itself = dict.fromkeys(("event_name", "schema_version", "app_version"))
    rows = [
        COUNTED | {"source": "warehouse", "table": "experiment_assignments", "reason": "not_in_enum"} | of_itself,
        COUNTED | {"event_name": "e" * 40, "schema_version": "3" * 40, "app_version": "1" * 40, "records": 123_456},
    ]
    print_table([refused_at_a_glance(row) for row in rows])
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 3, "a table, and not a value a line"
    assert told[1].split() == ["not_in_enum", "warehouse.experiment_assignments", "2", "5"]


def test_nothing_that_a_client_sent_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    sent = "\x1b[31mno JSON\u202e"
    record = {"day": date(2026, 1, 9), "file": "a.jsonl.gz", "line": 1, "reason": "not_json", "tried": 1}
    print_refused(record | {"detail": sent, "raw": sent})
    told = capsys.readouterr().out
    assert told.count("·[31mno JSON·") == 2
    assert "\x1b" not in told
    assert "\x1b" not in refused_at_a_glance(COUNTED | {"app_version": sent})["app"]
