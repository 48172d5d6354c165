"""Profiles of the sources in Airflow's own server."""

import time
from datetime import date
from typing import Any
from urllib.parse import urljoin

import pytest

from quality.profile import kept
from quality.profile.findings import Profile, Scope
from storage.days import now
from storage.files import new_id
from storage.settings import load_settings

PATHS = ["/sources/", "/sources/20260101T000000000Z-0000", "/sources/a/b", "/sources/..%2F..%2Fsecret"]
DAY = date(2026, 1, 5)


def keep(page: str) -> Profile:
    time.sleep(0.002)  # ids sort by the millisecond
    profile = Profile(new_id(), Scope(), now(), 0.1, DAY, DAY, 3, ())
    kept.keep(load_settings().lake_dir, profile, page)
    return profile


@pytest.mark.parametrize("path", PATHS)
def test_without_login_there_is_nothing_to_see(server: Any, path: str) -> None:
    keep("<p>what clients sent</p>")
    answer = server.get(path)
    assert answer.status_code == 401
    assert "not logged in" in answer.text
    assert "clients" not in answer.text


def test_the_latest_profile_is_shown_and_earlier_ones_by_their_id(server: Any, login: dict[str, str]) -> None:
    first, _ = keep("<p>the first</p>"), keep("<p>the second</p>")
    assert server.get("/sources/", headers=login).text == "<p>the second</p>"
    assert server.get(urljoin("/sources/", first.profile_id), headers=login).text == "<p>the first</p>"


def test_before_the_first_profile_there_is_a_page_that_says_how_to_make_it(server: Any, login: dict[str, str]) -> None:
    answer = server.get("/sources/", headers=login)
    assert answer.status_code == 200
    assert "Nothing was profiled yet" in answer.text
    assert "explore_sources" in answer.text


@pytest.mark.parametrize("path", PATHS[1:])
def test_what_is_no_profile_is_a_plain_page_that_says_so(server: Any, login: dict[str, str], path: str) -> None:
    keep("<p>a profile</p>")
    lake_dir = load_settings().lake_dir
    for folder in (lake_dir, lake_dir.parent):
        (folder / "secret.html").write_text("secret")
    answer = server.get(path, headers=login)
    assert answer.status_code == 404
    assert "There is no such profile" in answer.text
