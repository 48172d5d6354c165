"""The truth about the world: countries and their indicators, as the stand-ins of the third-party services know them."""

import numpy as np
import pandas as pd

from simulator import market
from simulator.frames import known_where
from simulator.product import Bools, Floats, Ints

COUNTED = {
    "population": "SP.POP.TOTL",
    "population_0_14": "SP.POP.0014.TO",
    "population_15_64": "SP.POP.1564.TO",
    "population_65_up": "SP.POP.65UP.TO",
    "broadband_subscriptions": "IT.NET.BBND",
    "mobile_subscriptions": "IT.CEL.SETS",
}
MEASURED = {
    "gni_usd": "NY.GNP.ATLS.CD",
    "gdp_constant_usd": "NY.GDP.MKTP.KD",
    "gdp_per_head_constant_usd": "NY.GDP.PCAP.KD",
    "startup_cost_percent": "IC.REG.COST.PC.ZS",
    "startup_days": "IC.REG.DURS",
    "startup_procedures": "IC.REG.PROC",
    "regulation_rating": "IQ.CPA.BREG.XQ",
    "ease_of_business_rank": "IC.BUS.EASE.XQ",
}
LENDING_TYPES = {"IBD": "IBRD", "IDB": "Blend", "IDX": "IDA", "LNX": "Not classified"}


def market_truth() -> dict[str, pd.DataFrame]:
    """What does not depend on the product.

    Returns:
        countries: country_code (two letters), country_iso3, country_name, is_aggregate, region_name, income_group,
            lending_type, capital_city, longitude, latitude; aggregates have neither group nor place.
        country_indicators: as fct_country_indicator_year; only where there is a value.
        country_stats, region_stats, year_stats, business_climate: as the marts of these names.
    """
    return {
        "countries": countries(),
        "country_indicators": _country_indicators(),
        "country_stats": _country_stats(),
        "region_stats": _region_stats(),
        "year_stats": _year_stats(),
        "business_climate": _business_climate(),
    }


def countries() -> pd.DataFrame:
    """As dim_country, in the order of the rows of an indicator."""
    aggregates = pd.DataFrame(
        [(iso2, iso3, name, True) for iso3, (iso2, name) in market.AGGREGATES.items()],
        columns=["country_code", "country_iso3", "country_name", "is_aggregate"],
    )
    countries = pd.DataFrame(
        {
            "country_code": country.iso2,
            "country_iso3": country.id,
            "country_name": country.name,
            "is_aggregate": False,
            "region_name": market.AGGREGATES[country.region][1],
            "income_group": market.AGGREGATES[country.income][1],
            "lending_type": LENDING_TYPES[country.lending],
            "capital_city": country.capital or None,
            "longitude": float(country.longitude or "nan"),
            "latitude": float(country.latitude or "nan"),
        }
        for country in market.countries()
    )
    return pd.concat([aggregates, countries], ignore_index=True)


def _country_indicators() -> pd.DataFrame:
    return pd.concat([_indicator(indicator) for indicator in market.INDICATORS], ignore_index=True)


def _indicator(indicator: str) -> pd.DataFrame:
    found = market.indicator_values(indicator)
    economy, year = np.nonzero(~np.isnan(found.values))
    return pd.DataFrame(
        {
            "country_code": np.array([iso2 for _, iso2, _ in found.economies])[economy],
            "indicator_id": indicator,
            "year": np.array(found.years)[year],
            "indicator_name": market.INDICATORS[indicator].name,
            "value": found.values[economy, year],
            "is_aggregate": economy < len(market.AGGREGATES),  # those come first
        }
    )


def _country_stats() -> pd.DataFrame:
    listed, years = _listed(), _years()
    rows = listed.loc[listed.index.repeat(len(years))].reset_index(drop=True)
    rows["year"] = np.tile(years, len(listed))
    for name, indicator in COUNTED.items():
        rows[name] = _whole(values_of(indicator).ravel())
    return rows


def _region_stats() -> pd.DataFrame:
    names = countries()["region_name"]
    regions = {name: (names == name).to_numpy() for name in names.dropna().unique()}
    return pd.concat(
        [_totals(of_region).assign(region_name=name) for name, of_region in regions.items()], ignore_index=True
    )


def _year_stats() -> pd.DataFrame:
    is_country = ~countries()["is_aggregate"].to_numpy(dtype=np.bool_)
    everything = _totals(np.ones_like(is_country))
    return _totals(is_country).assign(**{f"naive_{name}": everything[name] for name in COUNTED})


def _totals(which: Bools) -> pd.DataFrame:
    """By year, of some countries and aggregates."""
    frame = pd.DataFrame({"year": _years(), "country_count": np.count_nonzero(which)})
    for name, indicator in COUNTED.items():
        values = values_of(indicator)[which]
        known = np.count_nonzero(~np.isnan(values), axis=0)
        frame[name] = _whole(np.where(known > 0, np.nansum(values, axis=0), np.nan))
        frame[f"{name}_country_count"] = known
    return frame


def _business_climate() -> pd.DataFrame:
    frame = _listed()
    for name, indicator in MEASURED.items():
        place, frame[name] = latest(indicator)
        frame[f"{name}_year"] = known_where(frame[name].notna().to_numpy(), _years()[place])
    share = frame["startup_cost_percent"] / 100
    place, _ = latest("IC.REG.COST.PC.ZS")
    income, heads = (values_of(indicator)[frame.index, place] for indicator in ("NY.GNP.ATLS.CD", "SP.POP.TOTL"))
    frame["startup_cost_usd"] = share * frame["gni_usd"]
    frame["startup_cost_per_head_usd"] = share * income / heads
    return frame


def values_of(indicator: str) -> Floats:
    """Countries and aggregates x years, the latest first; nothing but NaN of what is not served."""
    if indicator not in market.INDICATORS:
        return np.full_like(values_of("SP.POP.TOTL"), np.nan)
    return market.indicator_values(indicator).values


def latest(indicator: str) -> tuple[Ints, Floats]:
    """The latest value of each country and aggregate, NaN without any, and its place among the years."""
    values = values_of(indicator)
    place = np.argmax(~np.isnan(values), axis=1)
    return place, values[np.arange(len(values)), place]


def _listed() -> pd.DataFrame:
    return countries()[["country_code", "country_name", "is_aggregate", "region_name", "income_group"]]


def _years() -> Ints:
    return np.array(market.indicator_values("SP.POP.TOTL").years)


def _whole(values: Floats) -> pd.Series:
    """As integers; NULL for NaN."""
    return known_where(~np.isnan(values), np.nan_to_num(values).astype(np.int64))
