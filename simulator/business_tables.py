"""The tables of the product's business systems, as their contracts list them, with made-up people and prices."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contracts.tables import TableContract, load_table_contracts
from simulator.business import (
    MONTH,
    PLANS,
    PRICES,
    TRIAL_DAYS,
    account_changes_on,
    first_starts,
    payment_ids,
    payments_of,
    plan_at,
    sign_up_moments,
    subscription_ids,
    subscriptions_until,
    user_ids,
    users_of,
)
from simulator.catalogue import (
    EXPERIMENT_ENDS,
    EXPERIMENT_GOALS,
    EXPERIMENT_NAMES,
    GENRES,
    TITLE_KINDS,
    TITLE_WORDS,
    titles,
)
from simulator.people import people
from simulator.plan import NEVER
from simulator.product import COUNTRIES, DAY, EXPERIMENTS, PLATFORMS, VARIANTS, Ids, Ints, Product, Records, cohort

ARROW_TYPES: Mapping[str, pa.DataType] = {
    "bigint": pa.int64(),
    "varchar": pa.string(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "decimal(18,4)": pa.decimal128(18, 4),
}
CHANGES_A_DAY = 1_000_000_000  # room for the change_ids of one day

CURRENCIES = pa.array([PRICES[country][0] for country in COUNTRIES])

# As people write them, and as their addresses do.
FIRST_NAMES = {
    "Ada": "ada", "Zoë": "zoe", "José": "jose", "Çağla": "cagla", "Łukasz": "lukasz", "陽菜": "hina", "अर्जुन": "arjun",
    "Grace": "grace", "João": "joao", "Siti": "siti", "Jürgen": "juergen", "Ndapewa": "ndapewa", "Aroha": "aroha",
    "Budi": "budi", "María": "maria", "Oliver": "oliver",
}  # fmt: skip
LAST_NAMES = {
    "Müller": "mueller", "O'Brien": "obrien", "佐藤": "sato", "शर्मा": "sharma", "Şahin": "sahin", "García": "garcia",
    "Nunes": "nunes", "Smith-Jones": "smithjones", "Shikongo": "shikongo", "Wijaya": "wijaya", "Tūhoe": "tuhoe",
    "Nguyễn": "nguyen", "Lovelace": "lovelace", "van der Berg": "vanderberg", "Núñez": "nunez", "Kaya": "kaya",
}  # fmt: skip
DOMAINS = ("com", "org", "net")

Columns = dict[str, pa.Array | np.ndarray | list[object]]


@cache
def contracts() -> Mapping[str, TableContract]:
    """The contracts of the tables, read once."""
    return load_table_contracts()


def read_table(product: Product, table: str, day: int) -> pa.Table:
    """What a table shows of a day: the changes that happened on it, or the snapshot at its end.

    Returns:
        The contract's columns, in its order and types.

    Raises:
        KeyError: there is no such table.
    """
    columns = contracts()[table].columns
    schema = pa.schema([pa.field(column.name, ARROW_TYPES[column.type], column.nullable) for column in columns])
    return pa.Table.from_pydict(_COLUMNS[table](product, day), schema=schema)


def _account_changes(product: Product, day: int) -> Columns:
    changes = account_changes_on(product, day)
    users = _users_of(product, changes)
    persons = people(product, users)
    first, last = persons["first_name"], persons["last_name"]
    return {
        "change_id": _change_ids(day, len(changes)),
        "changed_at": _timestamps(product, changes["moment"]),
        "change_type": _pick(("created", "updated", "closed"), changes["kind"]),
        "user_id": _text_ids("u_", user_ids(product, changes)),
        "created_at": _timestamps(product, changes["created"]),
        "email": _join(
            *(_pick(tuple(FIRST_NAMES.values()), first), ".", _pick(tuple(LAST_NAMES.values()), last)),
            *(".", _number(users["cohort"].astype(np.int64) * 10**7 + users["index"])),
            *("@example.", _pick(DOMAINS, changes["email"])),
        ),
        "full_name": pc.if_else(
            pa.array(persons["has_name"]),
            _join(_pick(tuple(FIRST_NAMES), first), " ", _pick(tuple(LAST_NAMES), last)),
            None,
        ),
        "birth_date": pa.array(persons["birth_date"]),
        "country_code": _pick(
            tuple(COUNTRIES), np.where(changes["has_moved"], persons["second_country"], users["country"])
        ),
        "acquisition_platform": _pick(tuple(PLATFORMS), users["platform"][:, 0]),
        "has_marketing_consent": persons["has_consented"] != changes["has_reconsidered"],
    }


def _users_of(product: Product, rows: Records) -> Records:
    """The member whom each row is about."""
    first_days, which = np.unique(rows["cohort"], return_inverse=True)
    users = [users_of(product, int(first_day)) for first_day in first_days]
    starts = np.cumsum([0, *map(len, users)])
    found: Records = np.concatenate([cohort(product, 0)[:0], *users])[starts[which] + rows["index"]]
    return found


def _subscription_changes(product: Product, day: int) -> Columns:
    rows = subscriptions_until(product, day)
    moments = np.column_stack([rows["start"], rows["paid_from"], rows["switched"], rows["end"]])
    row, step = np.nonzero((moments // DAY == day) & (moments < NEVER))
    order = np.lexsort((step, row, moments[row, step]))
    row, step = row[order], step[order]
    rows, moment = rows[row], moments[row, step]
    return {
        "change_id": _change_ids(day, len(rows)),
        "changed_at": _timestamps(product, moment),
        "subscription_id": _text_ids("sub_", subscription_ids(product, rows)),
        "user_id": _text_ids("u_", user_ids(product, rows)),
        "plan_id": _pick(PLANS, plan_at(rows, moment)),
        "status": _pick(("trial", "active", "active", "active", "cancelled"), step),
        "currency_code": CURRENCIES.take(pa.array(rows["country"])),
    }


def _payments(product: Product, day: int) -> Columns:
    rows = subscriptions_until(product, day)
    rows = rows[rows["paid_from"] // DAY <= day]
    # The last bill is enough: all that becomes of one is over before the next.
    payments = payments_of(product, rows, ((day + 1) * DAY - 1 - rows["paid_from"]) // MONTH)
    moments = np.column_stack([payments["asked"], payments["resolved"]])
    row, step = np.nonzero(moments // DAY == day)
    order = np.lexsort((step, payments["attempt"][row], row, moments[row, step]))
    row, step = row[order], step[order]
    payments, moment = payments[row], moments[row, step]
    return {
        "change_id": _change_ids(day, len(payments)),
        "changed_at": _timestamps(product, moment),
        "payment_id": _text_ids("pay_", payment_ids(product, payments)),
        "subscription_id": _text_ids("sub_", subscription_ids(product, payments)),
        "user_id": _text_ids("u_", user_ids(product, payments)),
        "kind": _pick(("charge", "charge", "refund"), payments["attempt"]),
        "status": _pick(("pending", "failed", "settled"), step * (1 + payments["is_settled"])),
        "amount": _prices().take(pa.array(payments["country"] * len(PLANS) + payments["plan"])),
        "currency_code": CURRENCIES.take(pa.array(payments["country"])),
        "paid_at": _timestamps(product, payments["asked"]),
    }


def _experiment_assignments(product: Product, day: int) -> Columns:
    is_there = sign_up_moments(product, day) // DAY <= day
    users = np.concatenate([*(users_of(product, earlier) for earlier in range(day)), users_of(product, day)[is_there]])
    count = len(EXPERIMENTS)
    return {
        "experiment_id": _pick(EXPERIMENTS, np.tile(np.arange(count), len(users))),
        "user_id": _text_ids("u_", user_ids(product, users).repeat(count)),
        "variant_id": _pick(VARIANTS, users["variant"].ravel()),
        "assigned_at": _timestamps(product, first_starts(users).repeat(count)),
    }


def _experiments(product: Product, day: int) -> Columns:  # noqa: ARG001
    count = len(EXPERIMENTS)
    return {
        "experiment_id": list(EXPERIMENTS),
        "experiment_name": list(EXPERIMENT_NAMES),
        "goal_metric": list(EXPERIMENT_GOALS),
        "started_at": _timestamps(product, np.zeros(count, dtype=np.int64)),
        "ended_at": _timestamps(product, EXPERIMENT_ENDS),
        "treatment_share": [Decimal("0.5")] * count,
    }


def _plans(product: Product, day: int) -> Columns:  # noqa: ARG001
    plan = np.tile(np.arange(len(PLANS)), len(CURRENCIES))
    return {
        "plan_id": _pick(PLANS, plan),
        "plan_name": _pick(tuple(map(str.capitalize, PLANS)), plan),
        "currency_code": CURRENCIES.take(pa.array(np.arange(len(CURRENCIES)).repeat(len(PLANS)))),
        "monthly_price": _prices(),
        "trial_days": TRIAL_DAYS[plan],
    }


def _titles(product: Product, day: int) -> Columns:  # noqa: ARG001
    rows = titles(product)
    first, second, third = (_pick(words, which) for words, which in zip(TITLE_WORDS, rows["words"].T, strict=True))
    return {
        "title_id": _join("title_", _number(np.arange(len(rows)))),
        "title_name": _join("The ", first, " ", second, " ", third),
        "kind": _pick(TITLE_KINDS, rows["kind"]),
        "genre": _pick(GENRES, rows["genre"]),
        "release_year": rows["release_year"],
        "runtime_seconds": pa.array(60 * rows["minutes"].astype(np.int64), mask=rows["minutes"] == 0),
    }


_COLUMNS: Mapping[str, Callable[[Product, int], Columns]] = {
    "account_changes": _account_changes,
    "experiment_assignments": _experiment_assignments,
    "experiments": _experiments,
    "payments": _payments,
    "plans": _plans,
    "subscription_changes": _subscription_changes,
    "titles": _titles,
}


@cache
def _prices() -> pa.Array:
    """By country and plan, built from text: exact."""
    prices = [price for country in COUNTRIES for price in PRICES[country][1:]]
    return pa.array(map(Decimal, prices), ARROW_TYPES["decimal(18,4)"])


def _change_ids(day: int, count: int) -> Ints:
    return day * CHANGES_A_DAY + np.arange(count)


def _text_ids(prefix: str, ids: Ids) -> pa.Array:
    digits = np.frombuffer(ids.astype(">u8").tobytes().hex().encode(), "S16")
    return _join(prefix, pa.array(digits.astype(str)))


def _timestamps(product: Product, moments: Ints) -> pa.Array:
    known = np.where(moments < NEVER, moments, 0).astype("timedelta64[ms]")
    return pa.array(np.datetime64(product.launch_date, "us") + known, mask=moments == NEVER)


def _pick(texts: tuple[str, ...], numbers: np.ndarray) -> pa.Array:
    return pa.array(texts).take(pa.array(numbers))


def _number(values: Ints) -> pa.Array:
    return pa.array(values).cast(pa.string())


def _join(*parts: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")
