"""Who the users are beyond what the logs show: the facts that only the business systems hold."""

import numpy as np

from simulator.product import COUNTRIES, Product, Records

NAMES = 16  # first names that there are, and as many last names; business_tables.py has them
BORN_FROM, BORN_UNTIL = np.datetime64("1940-01-01"), np.datetime64("2010-12-31")

PERSON = np.dtype(
    [
        ("first_name", "i1"),
        ("last_name", "i1"),
        ("has_name", "?"),  # gave a name
        ("birth_date", "M8[D]"),  # NaT where none was given
        ("has_consented", "?"),  # to marketing, at first
        ("second_country", "i1"),  # where the account moves to, if it moves
    ]
)


def people(product: Product, users: Records) -> Records:
    """The person behind each user (an array of MEMBER): an array of PERSON, in the same order."""
    # Four independent numbers about each person, from one.
    person = product.ids("person", (users["cohort"].astype(np.int64) << 32) + users["index"])
    first, last, born, gaps = (person >> np.arange(0, 64, 16, dtype=np.uint64)[:, None]) & np.uint64(0xFFFF)
    persons = np.zeros(len(users), PERSON)
    persons["first_name"], persons["last_name"], persons["has_name"] = first % NAMES, last % NAMES, gaps % 10 > 0
    persons["birth_date"] = BORN_FROM + born.astype(np.int64) % (BORN_UNTIL - BORN_FROM).astype(int)
    persons["birth_date"][gaps % 7 == 0] = np.datetime64("NaT")
    persons["has_consented"] = gaps % 2 == 0
    persons["second_country"] = (users["country"] + 1 + (gaps % 11).astype(np.int64)) % len(COUNTRIES)
    return persons
