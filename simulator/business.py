"""The plan of the product's business systems: what becomes of each account, subscription and payment.

As in product.py, everything depends on (seed, users, launch_date, story, day) alone. A user's life is derived from the
cohort and kept as a few moments, not as rows: what falls on one day is picked from all lives when it is asked for.
"""

from functools import lru_cache

import numpy as np

from simulator.plan import NEVER, REST, Event, plan_day
from simulator.product import DAY, HOUR, LIFETIME, MINUTE, SECOND, Floats, Ids, Ints, Product, Records, cohort

# Days after the sign-up on which an account may change. Few, because each row holds the moment of the sign-up, which
# only the plan of the cohort's day knows: a day costs that many plans (17 to 30 ms each at demo size), not hundreds.
AGES = (2, 5, 12, 30, 75, 180, 365)
CLOSING_AGES = AGES[2:]
CLOSES_BELOW = 0.15  # appetite: those 3% who watch least close their account, as they are hardly seen again
EMAILS = 3  # addresses that an account goes round in

PLANS = ("basic", "standard", "premium")
TRIAL_DAYS = np.array([7, 7, 14])
MONTH = 30 * DAY
"""Between two bills. Longer than all that becomes of a bill: at most 19 days until its last refund is settled."""

# By country, what a month of each plan costs. The European Central Bank publishes a rate for each currency.
PRICES = {
    "US": ("USD", "5.99", "9.99", "14.99"),
    "MX": ("MXN", "89.00", "149.00", "229.00"),
    "BR": ("BRL", "18.90", "29.90", "44.90"),
    "GB": ("GBP", "4.99", "8.99", "12.99"),
    "DE": ("EUR", "5.49", "9.49", "13.99"),
    "NA": ("ZAR", "69.00", "119.00", "179.00"),  # the rand is legal tender there; the Namibian dollar has no ECB rate
    "TR": ("TRY", "99.90", "169.90", "249.90"),
    "IN": ("INR", "149.00", "299.00", "499.00"),
    "ID": ("IDR", "45000", "75000", "120000"),
    "JP": ("JPY", "690", "1190", "1790"),
    "AU": ("AUD", "7.99", "13.99", "19.99"),
    "NZ": ("NZD", "8.99", "14.99", "21.99"),
}

ACCOUNT_CHANGE = np.dtype(
    [
        ("cohort", "i4"),
        ("index", "i4"),  # with the cohort: the member
        ("order", "i1"),  # sorts the changes of one account; has gaps
        ("moment", "i8"),  # ms since launch
        ("created", "i8"),
        ("kind", "i1"),  # 0 created, 1 updated, 2 closed
        ("email", "i1"),  # which of its addresses
        ("has_moved", "?"),  # to another country than the member's
        ("has_reconsidered", "?"),  # the consent is the opposite of the first
    ]
)
SUBSCRIPTION = np.dtype(
    [
        ("cohort", "i4"),
        ("index", "i4"),
        ("number", "i1"),  # 0 the user's first, 1 the one after coming back
        ("country", "i1"),  # decides the currency
        ("plan", "i1", 3),  # at first, after the first and after the second switch
        ("start", "i8"),  # of the trial, ms since launch
        ("paid_from", "i8"),  # or NEVER, as below
        ("switched", "i8", 2),
        ("end", "i8"),
    ]
)
PAYMENT = np.dtype(
    [
        *((name, SUBSCRIPTION[name]) for name in ("cohort", "index", "number", "country")),
        ("month", "i1"),  # which bill of the subscription
        ("attempt", "i1"),  # 0 the charge, 1 its repetition, 2 the refund
        ("plan", "i1"),
        ("asked", "i8"),
        ("resolved", "i8"),
        ("is_settled", "?"),  # else it failed
    ]
)


def users_of(product: Product, day: int) -> Records:
    """The members of a cohort who sign up: an array of MEMBER, in the order of their index."""
    members = cohort(product, day)
    users: Records = members[~members["is_visitor"]]
    return users


def first_starts(users: Records) -> Ints:
    """When each user's sign-up session begins, ms since launch."""
    starts: Ints = users["cohort"].astype(np.int64) * DAY + users["first_start"]
    return starts


def user_ids(product: Product, rows: Records) -> Ids:
    """The number of the user whom each row (with cohort and index) is about."""
    return product.ids("user", (rows["cohort"].astype(np.int64) << 32) + rows["index"])


def subscription_ids(product: Product, rows: Records) -> Ids:
    """The number of the subscription that each row (with cohort, index and number) is about."""
    return product.ids("subscription", _bill_keys(rows))


def payment_ids(product: Product, payments: Records) -> Ids:
    """The number of each payment."""
    return product.ids("payment", _payment_keys(payments))


@lru_cache(maxsize=LIFETIME + 1)
def sign_up_moments(product: Product, day: int) -> Ints:
    """When each account of a cohort was made, ms since launch: the true moment of the sign_up event.

    Where a country that went dark has swallowed the event, it is the start of its session.
    """
    plan = plan_day(product, day)
    sign_ups = plan.events[plan.events["kind"] == Event.SIGN_UP]
    moments = first_starts(users_of(product, day))
    moments[plan.sessions["index"][sign_ups["session"]]] = sign_ups["occurred"]
    return moments


def closing_moments(product: Product, day: int) -> Ints:
    """When each account of a cohort is closed, or NEVER."""
    rng = product.rng("closing", day)
    users = users_of(product, day)
    moments: Ints = (day + rng.choice(CLOSING_AGES, len(users))) * DAY + rng.integers(DAY, size=len(users))
    return np.where(users["appetite"] < CLOSES_BELOW, moments, NEVER)


@lru_cache(maxsize=LIFETIME + 1)
def account_changes(product: Product, day: int) -> Records:
    """All that ever happens to the accounts of a cohort: an array of ACCOUNT_CHANGE."""
    rng = product.rng("account", day)
    created, closed = sign_up_moments(product, day), closing_moments(product, day)
    count, occasions = len(created), 1 + len(AGES)
    # An update soon after the sign-up and at each age, and a second one in the same second, often at the same moment.
    soon = created + rng.integers(MINUTE, 30 * MINUTE, count)
    at_age = (day + np.array(AGES)) * DAY + rng.integers(DAY - SECOND, size=(count, len(AGES)))
    first = np.column_stack([soon, at_age])
    second = first + rng.integers(-SECOND, SECOND, (count, occasions)).clip(0)
    happens = rng.random((count, occasions)) < 0.05
    follows = happens & (rng.random((count, occasions)) < 0.2)

    updates = np.stack([first, second], axis=2).reshape(count, 2 * occasions)
    is_updated = np.stack([happens, follows], axis=2).reshape(count, 2 * occasions) & (updates < closed[:, None])
    moments = np.column_stack([created, updates, closed])
    takes_place = np.column_stack([np.ones(count, dtype=np.bool_), is_updated, closed < NEVER])
    what = np.zeros(moments.shape, dtype=np.int8)  # of an update: 1 another address, 2 another country, 3 the consent
    what[:, 1:-1] = is_updated * rng.choice([1, 2, 3], is_updated.shape, p=[0.4, 0.2, 0.4])

    index, order = np.nonzero(takes_place)
    changes = np.zeros(len(index), ACCOUNT_CHANGE)
    changes["cohort"], changes["index"], changes["order"] = day, index, order
    changes["moment"], changes["created"] = moments[takes_place], created[index]
    changes["kind"] = np.where(order == 0, 0, np.where(order == moments.shape[1] - 1, 2, 1))
    changes["email"] = ((what == 1).cumsum(axis=1) % EMAILS)[takes_place]
    changes["has_moved"] = ((what == 2).cumsum(axis=1) % 2)[takes_place]
    changes["has_reconsidered"] = ((what == 3).cumsum(axis=1) % 2)[takes_place]
    return changes


def account_changes_on(product: Product, day: int) -> Records:
    """What happens to accounts on `day`, in order."""
    cohorts = [day - age for age in (0, 1, *AGES) if day >= age]  # 1: a sign-up session can cross midnight
    changes = np.concatenate([account_changes(product, first_day) for first_day in cohorts])
    changes = changes[changes["moment"] // DAY == day]
    in_order: Records = changes[np.lexsort([changes[name] for name in ("order", "index", "cohort", "moment")])]
    return in_order


@lru_cache(maxsize=LIFETIME + 1)
def subscriptions(product: Product, day: int) -> Records:
    """All subscriptions that the users of a cohort ever have: an array of SUBSCRIPTION. Each ends at last."""
    rng = product.rng("subscription", day)
    users, closed = users_of(product, day), closing_moments(product, day)
    signed_up = first_starts(users) + REST  # by then at the latest: no session is longer
    first = _subscribe(users, signed_up + rng.exponential(2.5 * DAY, len(users)), rng)
    first = first[rng.random(len(first)) < 0.55]
    second = _subscribe(users[first["index"]], first["end"] + DAY + rng.exponential(20 * DAY, len(first)), rng)
    second["number"] = 1
    second = second[rng.random(len(second)) < 0.3]

    both = np.concatenate([first, second])
    limit = np.minimum(closed[both["index"]], (day + LIFETIME) * DAY - MONTH)
    both["end"] = np.minimum(both["end"], limit)
    for name in ("paid_from", "switched"):
        both[name] = np.where(both["end"] > both[name].T, both[name].T, NEVER).T
    begun: Records = both[both["start"] < limit]
    return begun


def _subscribe(users: Records, start: Floats, rng: np.random.Generator) -> Records:
    """A subscription of each user: a trial, which most of the keen ones pay on from, switches of plan, an end."""
    count = len(users)
    rows = np.zeros(count, SUBSCRIPTION)
    for name in ("cohort", "index", "country"):
        rows[name] = users[name]
    rows["start"] = start
    rows["plan"] = rng.choice(len(PLANS), count, p=[0.35, 0.45, 0.2])[:, None]
    trial = TRIAL_DAYS[rows["plan"][:, 0]] * DAY
    pays = rng.random(count) < 0.5 + 0.35 * users["appetite"]
    stays = rng.exponential((60 + 200 * users["appetite"]) * DAY)
    rows["paid_from"] = rows["start"] + trial
    rows["end"] = rows["start"] + np.where(pays, trial + 1 + stays, trial * rng.uniform(0.2, 1, count))
    # Two in eight switch to the plan above or below, half of them back again.
    switches = rng.exponential(30 * DAY, (count, 2)).cumsum(axis=1)
    is_switched = rng.random((count, 2)) < [0.25, 0.5]
    is_switched[:, 1] &= is_switched[:, 0]
    rows["switched"] = np.where(is_switched, rows["paid_from"][:, None] + 1 + switches.astype(np.int64), NEVER)
    rows["plan"][:, 1] = np.where(rows["plan"][:, 0] == 1, rng.choice([0, 2], count), 1)
    return rows


def subscriptions_until(product: Product, day: int) -> Records:
    """The subscriptions of all cohorts that have come by `day` and may still be billed then."""
    return np.concatenate([subscriptions(product, first) for first in range(max(0, day - LIFETIME), day + 1)])


def plan_at(rows: Records, moment: Ints) -> Ints:
    """The number of the plan that each subscription has at its moment."""
    plan: Ints = rows["plan"][np.arange(len(rows)), (rows["switched"] <= moment[:, None]).sum(axis=1)]
    return plan


def payments_of(product: Product, rows: Records, month: Ints) -> Records:
    """What becomes of one month's bill of each subscription: an array of PAYMENT.

    The charge; when it fails, a repetition; of what was settled, sometimes a refund. Nobody is billed after the end.
    """
    billed = rows["paid_from"] < NEVER
    billed[billed] &= rows["paid_from"][billed] + month[billed] * MONTH < rows["end"][billed]
    rows, month = rows[billed], month[billed]
    charge = np.zeros(len(rows), PAYMENT)
    for name in ("cohort", "index", "number", "country"):
        charge[name] = rows[name]
    charge["month"] = month
    charge["asked"] = rows["paid_from"] + month * MONTH
    charge["plan"] = plan_at(rows, charge["asked"])
    _resolve(product, charge, fails=0.06)

    again = charge[~charge["is_settled"]]
    again["attempt"] = 1
    again["asked"] = again["resolved"] + _between(product, "again", again, HOUR, 3 * DAY)
    _resolve(product, again, fails=0.2)

    charged = np.concatenate([charge, again])
    refund = charged[charged["is_settled"] & (_chance(product, "refunded", charged) < 0.04)]
    refund["attempt"] = 2
    refund["asked"] = refund["resolved"] + _between(product, "refund", refund, DAY, 10 * DAY)
    _resolve(product, refund, fails=0.02)
    return np.concatenate([charged, refund])


def _resolve(product: Product, payments: Records, *, fails: float) -> None:
    """Settle payments or let them fail, minutes to two days after they were asked for; in place."""
    payments["is_settled"] = _chance(product, "fails", payments) >= fails
    payments["resolved"] = payments["asked"] + _between(product, "resolved", payments, 2 * MINUTE, 2 * DAY)


def _between(product: Product, purpose: str, payments: Records, least: int, most: int) -> Ints:
    """Durations in ms, short ones more often."""
    return (least * (most / least) ** _chance(product, purpose, payments)).astype(np.int64)


def _chance(product: Product, purpose: str, payments: Records) -> Floats:
    """A random number in [0, 1) for each payment, whatever else is asked for with it."""
    return (product.ids(purpose, _payment_keys(payments)) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _bill_keys(rows: Records) -> Ints:
    """Unique for each subscription, in steps of 128: 32 months of 4 attempts."""
    first_day, index, number = (rows[name].astype(np.int64) for name in ("cohort", "index", "number"))
    keys: Ints = (first_day << 40) + (index << 8) + (number << 7)
    return keys


def _payment_keys(payments: Records) -> Ints:
    keys: Ints = _bill_keys(payments) + (payments["month"].astype(np.int64) << 2) + payments["attempt"]
    return keys
