"""What the third-party APIs know: countries and their indicators by year, and the euro's rates by day.

Close to real and illustrative: the facts in `countries.csv` are rounded, every series is a formula of them, and the
rates are a random walk through plausible levels. The same call always gives the same answer.
"""

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt
from dateutil.easter import easter  # type: ignore[import-untyped]

Floats = npt.NDArray[np.float64]
Years = npt.NDArray[np.int64]

FIRST_YEAR, LAST_YEAR = 1960, 2024
REGIONS = {  # the same without its high-income countries, and only those that may borrow from the World Bank
    "EAS": ("EAP", "TEA"),
    "ECS": ("ECA", "TEC"),
    "LCN": ("LAC", "TLA"),
    "MEA": ("MNA", "TMN"),
    "NAC": ("NAC", "NAC"),
    "SAS": ("SAS", "TSA"),
    "SSF": ("SSA", "TSS"),
}
BROADER = {
    "UMC": {"MIC", "LMY"},
    "LMC": {"MIC", "LMY"},
    "LIC": {"LMY"},
    "IBD": {"IBT"},
    "IDB": {"IDA", "IBT"},
    "IDX": {"IDA", "IBT"},
    "CSS": {"SST"},
    "PSS": {"SST"},
    "OSS": {"SST"},
}
AGGREGATES = {  # by name, as the World Bank lists them before the countries
    "AFE": ("ZH", "Africa Eastern and Southern"),
    "AFW": ("ZI", "Africa Western and Central"),
    "ARB": ("1A", "Arab World"),
    "CSS": ("S3", "Caribbean small states"),
    "CEB": ("B8", "Central Europe and the Baltics"),
    "EAR": ("V2", "Early-demographic dividend"),
    "EAS": ("Z4", "East Asia & Pacific"),
    "EAP": ("4E", "East Asia & Pacific (excluding high income)"),
    "TEA": ("T4", "East Asia & Pacific (IDA & IBRD countries)"),
    "EMU": ("XC", "Euro area"),
    "ECS": ("Z7", "Europe & Central Asia"),
    "ECA": ("7E", "Europe & Central Asia (excluding high income)"),
    "TEC": ("T7", "Europe & Central Asia (IDA & IBRD countries)"),
    "EUU": ("EU", "European Union"),
    "FCS": ("F1", "Fragile and conflict affected situations"),
    "HPC": ("XE", "Heavily indebted poor countries (HIPC)"),
    "HIC": ("XD", "High income"),
    "IBD": ("XF", "IBRD only"),
    "IBT": ("ZT", "IDA & IBRD total"),
    "IDB": ("XH", "IDA blend"),
    "IDX": ("XI", "IDA only"),
    "IDA": ("XG", "IDA total"),
    "LTE": ("V3", "Late-demographic dividend"),
    "LCN": ("ZJ", "Latin America & Caribbean"),
    "LAC": ("XJ", "Latin America & Caribbean (excluding high income)"),
    "TLA": ("T2", "Latin America & the Caribbean (IDA & IBRD countries)"),
    "LDC": ("XL", "Least developed countries: UN classification"),
    "LMY": ("XO", "Low & middle income"),
    "LIC": ("XM", "Low income"),
    "LMC": ("XN", "Lower middle income"),
    "MEA": ("ZQ", "Middle East, North Africa, Afghanistan & Pakistan"),
    "MNA": ("XQ", "Middle East, North Africa, Afghanistan & Pakistan (excluding high income)"),
    "TMN": ("T3", "Middle East, North Africa, Afghanistan & Pakistan (IDA & IBRD)"),
    "MIC": ("XP", "Middle income"),
    "NAC": ("XU", "North America"),
    "INX": ("XY", "Not classified"),
    "OED": ("OE", "OECD members"),
    "OSS": ("S4", "Other small states"),
    "PSS": ("S2", "Pacific island small states"),
    "PST": ("V4", "Post-demographic dividend"),
    "PRE": ("V1", "Pre-demographic dividend"),
    "SST": ("S1", "Small states"),
    "SAS": ("8S", "South Asia"),
    "TSA": ("T5", "South Asia (IDA & IBRD)"),
    "SSF": ("ZG", "Sub-Saharan Africa"),
    "SSA": ("ZF", "Sub-Saharan Africa (excluding high income)"),
    "TSS": ("T6", "Sub-Saharan Africa (IDA & IBRD countries)"),
    "UMC": ("XT", "Upper middle income"),
    "WLD": ("1W", "World"),
}


@dataclass(frozen=True)
class Country:
    """Facts about one country; `population` is that of `LAST_YEAR`."""

    id: str  # ISO 3166 alpha-3
    iso2: str
    name: str
    region: str
    income: str
    lending: str
    capital: str
    longitude: str
    latitude: str
    population: int
    growth: float  # of the population, a year
    gdp_per_head: float  # constant USD; NaN where not known
    groups: frozenset[str]  # ids of all aggregates it counts in


@lru_cache
def countries() -> tuple[Country, ...]:
    """The countries, without aggregates, by name."""
    with Path(__file__).with_name("countries.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    return tuple(_country(**row) for row in sorted(rows, key=lambda row: row["name"]))


def _country(population: str, growth: str, gdp_per_head: str, groups: str, **texts: str) -> Country:
    rate = float(growth) / 100
    developing, borrowing = REGIONS[texts["region"]]
    counted = {"WLD", texts["region"], texts["income"], _demography(rate, texts["income"]), *groups.split()}
    if texts["income"] != "HIC":
        counted.add(developing)
    if texts["lending"] != "LNX":
        counted |= {texts["lending"], borrowing}
    counted = counted.union(*(BROADER.get(group, set()) for group in counted))
    gdp = float(gdp_per_head or "nan")
    return Country(**texts, population=int(population), growth=rate, gdp_per_head=gdp, groups=frozenset(counted))


def _demography(growth: float, income: str) -> str:
    if growth >= 0.023:
        return "PRE"
    if growth >= 0.012:
        return "EAR"
    return "PST" if income == "HIC" else "LTE"


class Series(NamedTuple):
    """One indicator: `values` and `weights` take years and give an array of countries x years, NaN for a null.

    An aggregate is the sum of its members, or their mean weighted by `weights`.
    """

    name: str
    decimals: int
    values: Callable[[Years], Floats]
    weights: Callable[[Years], Floats] | None = None


def _fact(name: str) -> Floats:
    return np.array([[getattr(country, name)] for country in countries()], dtype=np.float64)


def _population(years: Years) -> Floats:
    # Today's growth fades into the past: carried back for 60 years it would empty or overfill countries.
    ago = LAST_YEAR - years
    growth: Floats = np.exp(20 * _fact("growth") * np.expm1(-ago / 20) - 0.00013 * ago**2)
    return (_fact("population") * growth).round()


def _children(years: Years) -> Floats:
    share: Floats = np.clip(0.17 + 6 * _fact("growth") + 0.0022 * (LAST_YEAR - years), 0.11, 0.48)
    return (_population(years) * share).round()


def _elderly(years: Years) -> Floats:
    share: Floats = np.clip(0.19 - 5 * _fact("growth") - 0.0016 * (LAST_YEAR - years), 0.02, 0.3)
    return (_population(years) * share).round()


def _working_age(years: Years) -> Floats:
    return _population(years) - _children(years) - _elderly(years)


def _cycle(years: Years) -> Floats:
    """Ups and downs, -1 to 1; each country at its own time."""
    wave: Floats = np.sin(0.9 * years + np.arange(len(countries()))[:, None])
    return wave


def _gdp_per_head(years: Years) -> Floats:
    trend: Floats = np.exp(0.018 * (years - LAST_YEAR))
    return _fact("gdp_per_head") * trend * (1 + 0.03 * _cycle(years))


def _gdp(years: Years) -> Floats:
    return _gdp_per_head(years) * _population(years)


def _national_income(years: Years) -> Floats:
    current = _gdp(years) * 1.28 * np.exp(0.025 * (years - LAST_YEAR))
    return np.where(years >= 1970, current, np.nan)


def _wealth() -> Floats:
    """0 for the poorest to 1 for the richest."""
    gdp = np.nan_to_num(_fact("gdp_per_head"), nan=2000)
    return gdp / (gdp + 6000)


def _broadband(years: Years) -> Floats:
    lines_per_head = 0.45 * _wealth() / (1 + np.exp((2014 - 7 * _wealth() - years) / 4))
    return np.where(years >= 1998, np.rint(_population(years) * lines_per_head), np.nan)


def _mobile(years: Years) -> Floats:
    phones_per_head = (0.7 + 0.7 * _wealth()) / (1 + np.exp((2012 - 10 * _wealth() - years) / 3))
    return np.where(years >= 1980, np.rint(_population(years) * phones_per_head), np.nan)


def _surveyed(values: Floats, years: Years) -> Floats:
    """The Doing Business survey: 2003 to 2019, not in the smallest countries."""
    return np.where((years >= 2003) & (years <= 2019) & (_fact("population") >= 200_000), values, np.nan)


def _start_up_steps(years: Years) -> Floats:
    return _surveyed(
        np.rint(12 - 7 * _wealth() + 0.15 * (2019 - years) + 1.5 * _cycle(np.full_like(years, 2019))), years
    )


def _start_up_days(years: Years) -> Floats:
    return _surveyed(np.rint(_start_up_steps(years) * (1.5 + 0.2 * (2019 - years))) + 0.5, years)


def _start_up_cost(years: Years) -> Floats:
    return _surveyed(80 * (1 - _wealth()) ** 2 * np.exp(0.06 * (2019 - years)) + 0.4, years)


def _policy_rating(years: Years) -> Floats:
    """1 to 6 in halves, of those who may borrow from the IDA, 2005 to 2023."""
    rated = np.array([["IDA" in country.groups] for country in countries()]) & (years >= 2005) & (years <= 2023)
    return np.where(rated, np.rint(2 * (2.8 + 2 * _wealth() + 0.5 * _cycle(years // 9))) / 2, np.nan)


def _equal(years: Years) -> Floats:
    return np.ones((len(countries()), len(years)))


INDICATORS = {
    "SP.POP.TOTL": Series("Population, total", 0, _population),
    "SP.POP.0014.TO": Series("Population ages 0-14, total", 0, _children),
    "SP.POP.1564.TO": Series("Population ages 15-64, total", 0, _working_age),
    "SP.POP.65UP.TO": Series("Population ages 65 and above, total", 0, _elderly),
    "IT.NET.BBND": Series("Fixed broadband subscriptions", 0, _broadband),
    "IT.CEL.SETS": Series("Mobile cellular subscriptions", 0, _mobile),
    "NY.GNP.ATLS.CD": Series("GNI, Atlas method (current US$)", 2, _national_income),
    "NY.GDP.MKTP.KD": Series("GDP (constant 2015 US$)", 2, _gdp),
    "NY.GDP.PCAP.KD": Series("GDP per capita (constant 2015 US$)", 4, _gdp_per_head, _population),
    "IC.REG.COST.PC.ZS": Series(
        "Cost of business start-up procedures (% of GNI per capita)", 1, _start_up_cost, _equal
    ),
    "IC.REG.DURS": Series("Time required to start a business (days)", 1, _start_up_days, _equal),
    "IC.REG.PROC": Series("Start-up procedures to register a business (number)", 1, _start_up_steps, _equal),
    "IQ.CPA.BREG.XQ": Series(
        "CPIA business regulatory environment rating (1=low to 6=high)", 1, _policy_rating, _equal
    ),
}


class Observation(NamedTuple):
    """A country's or an aggregate's value of one indicator in one year; None where it is not known."""

    id: str
    iso2: str
    name: str
    year: int
    value: float | None  # an int where the indicator counts


@dataclass(frozen=True, eq=False)
class Observations(Sequence[Observation]):
    """Each is made when it is asked for: those of all indicators, kept, would take 35 MB."""

    economies: Sequence[tuple[str, str, str]]
    years: Sequence[int]
    values: Floats
    decimals: int

    def __len__(self) -> int:
        return self.values.size

    @overload
    def __getitem__(self, place: int) -> Observation: ...
    @overload
    def __getitem__(self, place: slice) -> list[Observation]: ...
    def __getitem__(self, place: int | slice) -> Observation | list[Observation]:
        if isinstance(place, slice):
            return [self[number] for number in range(len(self))[place]]
        economy, year = divmod(range(len(self))[place], len(self.years))
        value = _plain(float(self.values[economy, year]), self.decimals)
        return Observation(*self.economies[economy], self.years[year], value)


@lru_cache
def indicator_values(indicator: str, last_year: int = LAST_YEAR) -> Observations:
    """Every value of an indicator, in the World Bank's order: aggregates, then countries; the latest year first.

    `pandas.DataFrame` takes the answer as it is. It is no frame since importing pandas (1.2 s) is most of a start-up.

    Raises:
        KeyError: no such indicator.
    """
    series = INDICATORS[indicator]
    years = np.arange(last_year, FIRST_YEAR - 1, -1)
    values = series.values(years)
    weights = series.weights(years) if series.weights else None
    table = np.concatenate([_aggregated(values, weights), values]).round(series.decimals)
    economies = [(code, *labels) for code, labels in AGGREGATES.items()]
    economies += [(country.id, country.iso2, country.name) for country in countries()]
    return Observations(economies, years.tolist(), table, series.decimals)


def _plain(value: float, decimals: int) -> float | None:
    if math.isnan(value):
        return None
    return value if decimals else int(value)


def _aggregated(values: Floats, weights: Floats | None) -> Floats:
    """Sums, or weighted means, over the members of each aggregate that have a value; NaN where none has."""
    members = np.array([[code in country.groups for country in countries()] for code in AGGREGATES], dtype=np.float64)
    known = ~np.isnan(values)
    sums = members @ np.where(known, values if weights is None else values * weights, 0)
    over = np.minimum(members @ known, 1) if weights is None else members @ np.where(known, weights, 0)
    return np.divide(sums, over, out=np.full_like(sums, np.nan), where=over > 0)


class Quoted(NamedTuple):
    """A currency of the European Central Bank's daily list."""

    name: str
    level: float  # for one euro, about what it was in January 2026
    decimals: int
    swing: float = 0.0045  # standard deviation of a day's change


CURRENCIES = {
    "AUD": Quoted("Australian Dollar", 1.75, 4),
    "BRL": Quoted("Brazilian Real", 6.4, 4, 0.007),
    "CAD": Quoted("Canadian Dollar", 1.61, 4),
    "CHF": Quoted("Swiss Franc", 0.93, 4, 0.003),
    "CNY": Quoted("Chinese Renminbi Yuan", 8.2, 4, 0.003),
    "CZK": Quoted("Czech Koruna", 24.2, 3, 0.002),
    "DKK": Quoted("Danish Krone", 7.47, 4, 0.00002),
    "GBP": Quoted("British Pound", 0.87, 5, 0.003),
    "HKD": Quoted("Hong Kong Dollar", 9.12, 4),
    "HUF": Quoted("Hungarian Forint", 385.0, 2),
    "IDR": Quoted("Indonesian Rupiah", 19600.0, 2),
    "ILS": Quoted("Israeli New Sheqel", 3.72, 4),
    "INR": Quoted("Indian Rupee", 105.0, 4),
    "ISK": Quoted("Icelandic Króna", 147.0, 1),
    "JPY": Quoted("Japanese Yen", 183.0, 2, 0.005),
    "KRW": Quoted("South Korean Won", 1690.0, 2),
    "MXN": Quoted("Mexican Peso", 21.0, 4, 0.006),
    "MYR": Quoted("Malaysian Ringgit", 4.75, 4, 0.003),
    "NOK": Quoted("Norwegian Krone", 11.8, 4),
    "NZD": Quoted("New Zealand Dollar", 2.03, 4),
    "PHP": Quoted("Philippine Peso", 69.0, 3),
    "PLN": Quoted("Polish Złoty", 4.21, 4, 0.003),
    "RON": Quoted("Romanian Leu", 5.09, 4, 0.001),
    "SEK": Quoted("Swedish Krona", 10.8, 4),
    "SGD": Quoted("Singapore Dollar", 1.505, 4, 0.003),
    "THB": Quoted("Thai Baht", 36.7, 3),
    "TRY": Quoted("Turkish Lira", 50.3, 4, 0.007),
    "USD": Quoted("United States Dollar", 1.17, 4),
    "ZAR": Quoted("South African Rand", 19.3, 4, 0.007),
}
FIRST_DAY, LAST_DAY = date(1999, 1, 4), date(2099, 12, 31)
LEVEL_DAY = date(2026, 1, 5)


@lru_cache
def _calendar() -> np.busdaycalendar:
    """The euro payment system's working days."""
    holidays = []
    for year in range(FIRST_DAY.year, LAST_DAY.year + 1):
        sunday = easter(year)
        holidays += [sunday - timedelta(days=2), sunday + timedelta(days=1)]
        holidays += [date(year, month, day) for month, day in ((1, 1), (5, 1), (12, 25), (12, 26))]
    return np.busdaycalendar(holidays=np.array(holidays, dtype="datetime64[D]"))


def business_day(day: date) -> date:
    """The last day up to `day` for which rates were published."""
    return date.fromisoformat(str(np.busday_offset(day, 0, roll="backward", busdaycal=_calendar())))


def business_days(start: date, end: date) -> list[date]:
    """The days from `start` to `end`, both included, for which rates were published."""
    days = (start + timedelta(days=number) for number in range((end - start).days + 1))
    return [day for day in days if np.is_busday(day, busdaycal=_calendar())]


@lru_cache
def _walk(currency: str) -> list[float]:
    quoted = CURRENCIES[currency]
    rng = np.random.default_rng(int.from_bytes(currency.encode()))
    path = np.cumsum(rng.normal(0, quoted.swing, _position(LAST_DAY) + 1))
    rates: list[float] = (quoted.level * np.exp(path - path[_position(LEVEL_DAY)])).round(quoted.decimals).tolist()
    return rates


def _position(day: date) -> int:
    return int(np.busday_count(FIRST_DAY, day, busdaycal=_calendar()))


def rate(currency: str, day: date) -> float:
    """Units of `currency` for one euro, as published on `day` or, when that is no working day, last before it.

    Raises:
        KeyError: no such currency.
        ValueError: `day` is before the first rates or after the last planned ones.
    """
    return rates(day)[currency]


def rates(day: date) -> Mapping[str, float]:
    """All currencies' `rate` of `day`."""
    published = business_day(day)
    if not FIRST_DAY <= published <= LAST_DAY:
        raise ValueError(f"There are no rates of {day}, only from {FIRST_DAY} to {LAST_DAY}.")
    return _rates_published(published)


@lru_cache(maxsize=1000)
def _rates_published(day: date) -> Mapping[str, float]:
    position = _position(day)
    return MappingProxyType({currency: _walk(currency)[position] for currency in CURRENCIES})
