"""The product: who signs up or looks in, from where, on which devices, and what the story does to them.

Everything depends on (seed, users, launch_date, story, day) alone. Random numbers come from one generator per
purpose and day, nothing is carried over from one day to the next, so any day can be made alone and again.
Days are numbers from 0, the launch day; moments are milliseconds since its first midnight (UTC).
"""

import zlib
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Story = Literal["off", "launch", "full"]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.uint64]
Records = npt.NDArray[np.void]
"""A numpy structured array: one row per member, session, event or delivery."""

# 60 days of the story "full" give about a million log lines (measured: 1.08 million are accepted).
DEMO_USERS = 6_000
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
LAUNCH_PERIOD = 60
LIFETIME = 730
"""Days after which nobody comes back, which bounds what one day costs however long the product lives."""

# UTC offset in hours and share of all people; spread so that no UTC hour is quiet. NA is Namibia.
COUNTRIES = {
    "US": (-6.0, 0.16), "MX": (-6.0, 0.08), "BR": (-3.0, 0.11), "GB": (0.0, 0.09), "DE": (1.0, 0.08), "NA": (2.0, 0.04),
    "TR": (3.0, 0.06), "IN": (5.5, 0.13), "ID": (7.0, 0.08), "JP": (9.0, 0.08), "AU": (10.0, 0.06), "NZ": (12.0, 0.03),
}  # fmt: skip
# How much is watched at each local hour, from midnight on.
LOCAL_HOURS = np.array([3, 2, 1, 1, 1, 1, 2, 3, 4, 4, 4, 4, 5, 5, 4, 4, 5, 6, 8, 10, 12, 12, 9, 6], dtype=float)
# Share of members' and of visitors' devices: few look in on a television.
PLATFORMS = {"android": (0.34, 0.42), "ios": (0.24, 0.28), "tv": (0.20, 0.10), "web": (0.22, 0.20)}
MODELS = {
    "android": ("Galaxy S25", "Pixel 10", "Redmi Note 14", "Moto G86"),
    "ios": ("iPhone 15", "iPhone 16", "iPhone 17", "iPad Air"),
    "tv": ("Bravia 8", "Fire TV Stick", "webOS C5", "Chromecast"),
    "web": ("Chrome", "Firefox", "Safari", "Edge"),
}
SYSTEMS = {
    "android": ("13", "14", "15", "16"),
    "ios": ("17.6", "18.1", "18.6", "26.0"),
    "tv": ("7.0", "8.1", "9.0", "10.2"),
    "web": ("140", "141", "142", "143"),
}
WEEKDAYS = np.array([0.93, 0.90, 0.91, 0.96, 1.07, 1.16, 1.07])  # Monday to Sunday, mean 1
EXPERIMENTS = ("exp_home_rows", "exp_autoplay", "exp_new_player")
VARIANTS = ("control", "treatment")
LIFT = 1.35  # of returning, in the treatment of the first experiment, story "full"
UNLOGGED_EXPERIMENT, UNLOGGED_PLATFORM = 2, "tv"  # its treatment is seen there and not logged, story "full"
ONLY_LOOKS = 0.15  # share of sign-ups that play nothing in their first session
AFTER_CRASHING, AFTER_LOOKING = 0.4, 0.6  # factors of returning, by that session, story "full"

RELEASE_EVERY = 7  # days: 1.0.0 on day 0, 1.1.0 on day 7, 1.2.0 on day 14, for ever
BAD_RELEASE, BAD_DAYS = 4, range(30, 33)  # 1.4.0 on Android crashes at start-up on these days, story "full"
DARK_COUNTRY, DARK_FROM, DARK_UNTIL = "IN", 40 * DAY + 12 * HOUR, 40 * DAY + 18 * HOUR  # its evening, story "full"

MEMBER = np.dtype(
    [
        ("cohort", "i4"),  # the day of the first visit, for users the day of the sign-up
        ("index", "i4"),  # place in the cohort
        ("is_visitor", "?"),  # looks in without ever signing up
        ("first_start", "i4"),  # of the first (for users: the sign-up) session, ms of the day
        ("country", "i1"),
        ("appetite", "f4"),  # scales the chance of coming back, mean about 0.7
        ("in_household", "?"),  # shares the first device with the neighbour in the cohort
        ("update_lag", "f4"),  # days until a new app version is installed
        ("device_count", "i1"),
        ("platform", "i1", 3),
        ("model", "i1", 3),
        ("system", "i1", 3),
        ("variant", "i1", len(EXPERIMENTS)),
        ("luck", "f4"),  # of a user in the first session: the unluckiest crash, the luckiest need not play anything
    ]
)


@dataclass(frozen=True)
class Product:
    """One product launch. `users` is the expected number of sign-ups in the first 60 days.

    Raises:
        ValueError: an unknown story, a negative seed, or fewer than one user.
    """

    seed: int = 42
    users: int = DEMO_USERS
    launch_date: date = date(2026, 1, 5)
    story: Story = "full"

    def __post_init__(self) -> None:
        if self.story not in get_args(Story):
            raise ValueError(f"There is no story {self.story!r}. Choose one of {', '.join(get_args(Story))}.")
        if self.seed < 0 or self.users < 1:
            raise ValueError(f"seed={self.seed}, users={self.users}: seed must be at least 0 and users at least 1.")

    def rng(self, purpose: str, day: int) -> np.random.Generator:
        """The random numbers for one purpose on one day."""
        return np.random.default_rng([self.seed, zlib.crc32(purpose.encode()), day])

    def ids(self, purpose: str, keys: Ints) -> Ids:
        """Opaque numbers for `keys` (any integers), different for different keys: a keyed bijection on 64 bits."""
        mixed = keys.astype(np.uint64) + self.rng(f"{purpose}_id", 0).integers(2**64, dtype=np.uint64)
        for factor in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):  # splitmix64
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(factor)
        return mixed ^ (mixed >> np.uint64(31))

    def day_of(self, day: date) -> int:
        """The number of a calendar day.

        Raises:
            ValueError: the day is before the launch.
        """
        if day < self.launch_date:
            raise ValueError(f"{day} is before the launch on {self.launch_date}. Ask for that day or a later one.")
        return (day - self.launch_date).days

    def date_of(self, day: int) -> date:
        """The calendar day of a day's number."""
        return self.launch_date + timedelta(days=day)

    def rhythm(self, day: int) -> float:
        """How lively the weekday is, 1 on average."""
        return 1.0 if self.story == "off" else float(WEEKDAYS[self.date_of(day).weekday()])

    def expected_sign_ups(self, day: int) -> float:
        """Sign-ups to expect on a day; the first 60 days sum up to `users`."""
        period = range(LAUNCH_PERIOD)
        return self.users * self._pull(day) / sum(map(self._pull, period))

    def _pull(self, day: int) -> float:
        return 1.0 if self.story == "off" else self.rhythm(day) * (1 + 6 * float(np.exp(-day / 4)))


@lru_cache(maxsize=LIFETIME + 1)
def cohort(product: Product, day: int) -> Records:
    """Who comes for the first time on `day`: sign-ups first, then visitors. A structured array of MEMBER."""
    rng = product.rng("cohort", day)
    sign_ups = int(product.expected_sign_ups(day) + rng.random())
    # Two visitors an hour, from 1,000 users on, keep every hour of the quietest day alive.
    visitors = int(min(product.users, 1_000) * 0.05 + 0.4 * product.expected_sign_ups(day) + rng.random())
    count = sign_ups + visitors
    members = np.zeros(count, MEMBER)
    members["cohort"] = day
    members["index"] = np.arange(count)
    members["is_visitor"] = members["index"] >= sign_ups
    for group, shares in zip(np.split(members, [sign_ups]), zip(*PLATFORMS.values(), strict=True), strict=True):
        _place(product, group, rng)
        # Shared out, not drawn one by one: the mix of a small product would differ too much from day to day.
        for slot in range(3):
            group["platform"][:, slot] = np.searchsorted(np.cumsum(shares)[:-1], _spread(len(group), rng))
    members["appetite"] = 1.4 * rng.beta(2, 2, count)
    members["appetite"][members["is_visitor"]] *= 0.05
    members["update_lag"] = rng.lognormal(np.log(4), 1.2, count)  # 28% within 2 days, 2% after more than 45
    members["device_count"] = rng.choice(3, count, p=[0.5, 0.35, 0.15]) + 1
    members["model"] = rng.integers(4, size=(count, 3))
    members["system"] = rng.choice(4, (count, 3), p=[0.1, 0.2, 0.3, 0.4])
    members["variant"] = rng.integers(2, size=(count, len(EXPERIMENTS)))
    members["luck"] = _spread(count, rng)
    _form_households(members[: sign_ups // 2 * 2], rng)
    return members


def _place(product: Product, members: Records, rng: np.random.Generator) -> None:
    """Draw when each member first comes (spread evenly over the day's demand) and, given the hour, from where."""
    offsets, shares = map(np.array, zip(*COUNTRIES.values(), strict=True))
    demand = shares * LOCAL_HOURS[(np.arange(24)[:, None] + offsets).astype(int) % 24]
    by_hour = np.append(0, demand.sum(axis=1).cumsum())
    hours = np.interp(_spread(len(members), rng) * by_hour[-1], by_hour, np.arange(25))
    demand = demand.cumsum(axis=1)[hours.astype(int) % 24]
    members["country"] = (rng.random((len(members), 1)) * demand[:, -1:] > demand).sum(axis=1)
    start = (hours * HOUR).astype(np.int64) % DAY
    dark = is_dark(product, members["country"], members["cohort"].astype(np.int64) * DAY + start)
    # Who would have come in the dark comes in the hour after it.
    dark_length, dark_end = DARK_UNTIL - DARK_FROM, DARK_UNTIL % DAY
    members["first_start"] = np.where(dark, dark_end + (start - DARK_FROM % DAY) * HOUR // dark_length, start)


def _spread(count: int, rng: np.random.Generator) -> Floats:
    """Evenly spread numbers in [0, 1), shuffled."""
    return (rng.permutation(count) + rng.random(count)) / max(count, 1)


def _form_households(members: Records, rng: np.random.Generator) -> None:
    """Let one pair of neighbours in eight share country and first device."""
    shares = np.repeat(rng.random(len(members) // 2) < 1 / 8, 2)
    members["in_household"] = shares
    second, first = shares & (members["index"] % 2 == 1), shares & (members["index"] % 2 == 0)
    for trait in ("country", "update_lag"):
        members[trait][second] = members[trait][first]
    for trait in ("platform", "model", "system"):
        members[trait][second, 0] = members[trait][first, 0]


def is_dark(product: Product, country: npt.NDArray[np.int8], moment: Ints) -> Bools:
    """Whether the story has switched that country off at that moment."""
    if product.story != "full":
        return np.zeros(len(moment), dtype=np.bool_)
    is_there: Bools = country == list(COUNTRIES).index(DARK_COUNTRY)
    return is_there & (moment >= DARK_FROM) & (moment < DARK_UNTIL)


def members_on(product: Product, day: int) -> Records:
    """Who uses the product on `day`: its new cohort and, drawn from all earlier ones, who comes back."""
    rng = product.rng("return", day)
    back = []
    for first_day in range(max(0, day - LIFETIME), day):
        members = cohort(product, first_day)
        # Two thirds of the keen ones come back on the next day; it decays towards one in eight.
        chance = product.rhythm(day) * members["appetite"] * (0.12 + 0.5 * (day - first_day) ** -0.7)
        if product.story == "full":
            chance = chance * np.where(members["variant"][:, 0] == 1, LIFT, 1.0)
            chance = chance * _first_impression(product, first_day)
        back.append(members[_spread(len(members), rng) < chance])
    return np.concatenate([cohort(product, day), *back])


def _first_impression(product: Product, day: int) -> Floats:
    """The factor by which the first session changes whether each member of a cohort comes back."""
    members = cohort(product, day)
    release = np.full(len(members), day // RELEASE_EVERY)
    crashes = members["luck"] < startup_crash_chance(product, day, members["platform"][:, 0], release)
    return np.select(
        [members["is_visitor"], crashes, only_looks(members["luck"])], [1, AFTER_CRASHING, AFTER_LOOKING], 1.0
    )


def startup_crash_chance(product: Product, day: int, platform: Ints, release: Ints) -> Floats:
    """How likely each session is to crash at its start."""
    chance = np.full(len(platform), 0.008)
    if product.story == "full" and day in BAD_DAYS:
        on_android = platform == list(PLATFORMS).index("android")
        chance[on_android & (release == BAD_RELEASE)] = 0.8
    return chance


def only_looks(luck: Floats) -> Bools:
    """Whether somebody of that luck plays nothing in the first session."""
    return luck >= 1 - ONLY_LOOKS


def local_starts(country: npt.NDArray[np.int8], rng: np.random.Generator) -> Ints:
    """Draw a time of the UTC day (ms) for each country by the local hours at which people watch."""
    by_hour = np.append(0, LOCAL_HOURS.cumsum())
    local = np.interp(rng.random(len(country)) * by_hour[-1], by_hour, np.arange(25))
    offsets = np.array([offset for offset, _ in COUNTRIES.values()])
    starts: Ints = ((local - offsets[country]) * HOUR).astype(np.int64) % DAY
    return starts
