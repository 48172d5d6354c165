"""What the command line makes of what others sent."""

from datetime import date
from typing import Any

import pytest

from liftoff.printing import print_refused, refused_at_a_glance

COUNTED: dict[str, Any] = {
    "reason": "unknown_version",
    "table": "events",
    "event_name": "app_ready",
    "schema_version": "3",
    "app_version": "1.4.0",
    "days": 2,
    "records": 5,
}


def test_a_long_value_is_cut_where_it_is_printed_and_shows_that_it_is() -> None:
    shown = refused_at_a_glance(COUNTED | {"event_name": "e" * 40, "app_version": "4.12.0-nightly.1"})
    assert (shown["event"], shown["app"]) == (f"{'e' * 29}… 3", "4.12.0-nigh…")
    assert refused_at_a_glance(COUNTED)["app"] == "1.4.0"


def test_nothing_that_a_client_sent_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    sent = "\x1b[31mno JSON\u202e"
    record = {"day": date(2026, 1, 9), "file": "a.jsonl.gz", "line": 1, "reason": "not_json", "tried": 1}
    print_refused(record | {"detail": sent, "raw": sent})
    told = capsys.readouterr().out
    assert told.count("·[31mno JSON·") == 2
    assert "\x1b" not in told
    assert "\x1b" not in refused_at_a_glance(COUNTED | {"app_version": sent})["app"]
