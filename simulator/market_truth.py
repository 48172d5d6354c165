"""The truth about the world: countries and their indicators, as the stand-ins of the third-party services know them."""

import numpy as np
import pandas as pd

from simulator import market

LENDING_TYPES = {"IBD": "IBRD", "IDB": "Blend", "IDX": "IDA", "LNX": "Not classified"}


def market_truth() -> dict[str, pd.DataFrame]:
    """What does not depend on the product.

    Returns:
        countries: country_code (two letters), country_iso3, country_name, is_aggregate, region_name, income_group,
            lending_type, capital_city, longitude, latitude; aggregates have neither group nor place.
        country_indicators: as fct_country_indicator_year; only where there is a value.
    """
    return {"countries": _countries(), "country_indicators": _country_indicators()}


def _countries() -> pd.DataFrame:
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
