"""The truth about accounts: what was known of each from when to when, and how many there are."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from simulator.business import account_changes, closing_moments, sign_up_moments, user_ids, users_of
from simulator.frames import Numbers, Truth, dates, ids, moments, names
from simulator.people import people
from simulator.plan import NEVER, DayPlan
from simulator.product import COUNTRIES, DAY, PLATFORMS, Ids, Ints, Product, Records
from simulator.runs import Runs

CLOSED = 2


@dataclass(frozen=True)
class Accounts:
    """Those of all users who came in some days, numbered. Their traits are those at sign-up."""

    product: Product
    days: int

    @cached_property
    def users(self) -> Records:
        """Grain: account. An array of MEMBER."""
        return np.concatenate([users_of(self.product, day) for day in range(self.days)])

    @cached_property
    def ids(self) -> Ids:
        """Of each account."""
        return user_ids(self.product, self.users)

    @cached_property
    def day_0(self) -> Ints:
        """On which each was made: a sign-up session can cross midnight, even that of the last day."""
        made: Ints = np.concatenate([sign_up_moments(self.product, day) for day in range(self.days)]) // DAY
        return made

    @cached_property
    def first(self) -> Ints:
        """By the day on which they came, the number of the first one."""
        return np.searchsorted(self.users["cohort"], np.arange(self.days))

    def numbers(self, plan: DayPlan) -> Ints:
        """Of both users that each session can be about: the member, and the other one of the household."""
        index = plan.sessions["index"][:, None] ^ np.array([0, 1])
        numbers: Ints = self.first[plan.sessions["cohort"]][:, None] + index
        return numbers

    @property
    def traits(self) -> dict[str, Numbers]:
        """What tells them apart in segments."""
        return {"platform": self.users["platform"][:, 0], "country": self.users["country"]}


def account_versions(product: Product, days: int) -> pd.DataFrame:
    """Grain: account and version, in the plan's numbers, by user and moment. The account is another one from there on.

    An address is not part of it: to change it makes no version.
    """
    changes = np.concatenate([account_changes(product, day) for day in range(days)])
    changes = changes[changes["moment"] < days * DAY]
    changes = changes[np.lexsort([changes[name] for name in ("order", "moment", "index", "cohort")])]
    changes = changes[Runs.of(changes["cohort"], changes["index"], changes["moment"]).last]
    state = changes["has_moved"] + 2 * changes["has_reconsidered"] + 4 * (changes["kind"] == CLOSED)
    changes = changes[Runs.of(changes["cohort"], changes["index"], state).first]

    accounts = Runs.of(changes["cohort"], changes["index"])
    following = np.append(changes["moment"][1:], NEVER)[: len(changes)]
    following[accounts.last] = NEVER
    users = _members(product, days, changes)
    persons = people(product, users)
    return pd.DataFrame(
        {
            "user": user_ids(product, changes),
            "moment": changes["moment"],
            "next": following,
            "version": np.arange(len(changes)) - accounts.first.repeat(accounts.length) + 1,
            "is_closed": changes["kind"] == CLOSED,
            "created": changes["created"],
            "country": np.where(changes["has_moved"], persons["second_country"], users["country"]),
            "platform": users["platform"][:, 0],
            "birth_date": persons["birth_date"],
            "has_consented": persons["has_consented"] != changes["has_reconsidered"],
        }
    )


def _members(product: Product, days: int, rows: Records) -> Records:
    """The member whom each row (with cohort and index) is about."""
    cohorts = [users_of(product, day) for day in range(days)]
    first = np.cumsum([0, *map(len, cohorts)])
    members: Records = np.concatenate(cohorts)[first[rows["cohort"]] + rows["index"]]
    return members


def country_at(versions: pd.DataFrame, user: pd.Series, moment: pd.Series) -> Ints:
    """In which country each account was at its moment.

    Args:
        versions: of all accounts, as account_versions has them.
        user: numbers of users who have an account by then.
        moment: ms since launch.
    """
    known, place = np.unique(versions["user"], return_inverse=True)
    beyond = int(max(versions["moment"].max(), moment.max())) + 1
    begins = place * beyond + versions["moment"].to_numpy()
    order = np.argsort(begins)
    wanted = np.searchsorted(known, user) * beyond + moment.to_numpy()
    found = order[np.searchsorted(begins[order], wanted, side="right") - 1]
    countries: Ints = versions["country"].to_numpy()[found]
    return countries


def account_truth(product: Product, days: int, versions: pd.DataFrame) -> Truth:
    """The frames about accounts.

    Returns:
        account_versions: as dim_user, without its surrogate key.
        accounts_daily: date, created_count, closed_count, open_count (at the end of the day).
    """
    return {
        "account_versions": _account_versions(product, versions),
        "accounts_daily": _accounts_daily(product, days),
    }


def _account_versions(product: Product, versions: pd.DataFrame) -> pd.DataFrame:
    born = versions["birth_date"].dt.year.astype("Int64")
    created, following = versions["created"].to_numpy(), versions["next"].to_numpy()
    return pd.DataFrame(
        {
            "user_id": ids("u_", versions["user"].to_numpy()),
            "version_number": versions["version"],
            "valid_from": moments(product, versions["moment"].to_numpy()),
            "valid_to": moments(product, following),
            "is_current": following == NEVER,
            "account_status": versions["is_closed"].map({True: "closed", False: "open"}),
            "created_at": moments(product, created),
            "created_date": dates(product, created // DAY),
            "country_code": names(list(COUNTRIES), versions["country"].to_numpy()),
            "acquisition_platform": names(list(PLATFORMS), versions["platform"].to_numpy()),
            "birth_year": born,
            "has_marketing_consent": versions["has_consented"],
        }
    )


def _accounts_daily(product: Product, days: int) -> pd.DataFrame:
    created, closed = (
        np.bincount(_days_within(np.concatenate([of(product, day) for day in range(days)]), days), minlength=days)
        for of in (sign_up_moments, closing_moments)
    )
    return pd.DataFrame(
        {
            "date": dates(product, np.arange(days)),
            "created_count": created,
            "closed_count": closed,
            "open_count": (created - closed).cumsum(),
        }
    )


def _days_within(moments: Ints, days: int) -> Ints:
    """The days of those moments that are over by the end of the last day."""
    return moments[moments < days * DAY] // DAY
