"""What is known of both engines: what they read alike, and what to write instead of all else.

Each entry was tried on DuckDB 2.0 and Spark 4.1, with NULLs and edge cases. Try one before you add it.
"""

from typing import Literal

# What can be seen of a value in the text alone. Of most values nothing can.
Kind = Literal["decimal", "double", "moment"]

# Types that both engines know under this name, and what a cast to them shows.
INTEGERS = ("tinyint", "smallint", "int", "integer", "bigint")
TYPES: dict[str, Kind | None] = {
    **dict.fromkeys(INTEGERS, None),
    **dict.fromkeys(("boolean", "string"), None),
    **dict.fromkeys(("decimal", "numeric"), "decimal"),
    **dict.fromkeys(("double", "float"), "double"),
    **dict.fromkeys(("date", "timestamp"), "moment"),
}

# Functions that both engines read alike, by what they give: a value of one kind, or of the kind of their arguments.
OF_A_KIND: dict[str, Kind | None] = {
    **dict.fromkeys(("count", "count_if", "row_number", "rank", "dense_rank", "ntile"), None),
    **dict.fromkeys(("floor", "ceil", "ceiling", "bit_count", "bit_and", "bit_or", "bit_xor"), None),
    **dict.fromkeys(("bool_and", "bool_or", "exists", "isnan"), None),
    **dict.fromkeys(("lower", "upper", "trim", "ltrim", "rtrim", "lpad", "rpad", "left", "right"), None),
    **dict.fromkeys(("substr", "substring", "replace", "split_part", "translate", "repeat", "reverse"), None),
    **dict.fromkeys(("length", "instr", "contains", "md5"), None),
    **dict.fromkeys(("extract", "year", "quarter", "month", "day", "hour"), None),
    **dict.fromkeys(("avg", "median", "percentile_cont", "percent_rank", "cume_dist"), "double"),
    **dict.fromkeys(("stddev_samp", "stddev_pop", "var_samp", "var_pop", "covar_samp", "covar_pop"), "double"),
    **dict.fromkeys(("sqrt", "exp", "power", "sin", "atan", "tanh", "pi"), "double"),
    **dict.fromkeys(("date_trunc", "last_day", "make_date"), "moment"),
    "round": None,  # a double in fact: but it is rounded, and a cast of it rounds nothing more
    # Macros of macros/engine, as dbt_project/.sqlfluff renders them.
    "days_between": None,
    "seconds_between": "double",
}
OF_THEIR_ARGUMENTS = {
    *("sum", "min", "max", "min_by", "max_by", "lag", "lead", "abs", "mod"),
    *("coalesce", "ifnull", "nullif", "greatest", "least", "if"),
}
CASTS = {"cast", "try_cast"}

_MACROS = "use the macros add_days, days_between or seconds_between"
_CLOCK = "a build depends on its vars, never on the clock: use last_date()"
_LAKE = "read landings with the macro lake"
_LISTS = "not the same on Spark, or in another order: aggregate in another way"
_ROWS = "use the macro integers"
_ENDS = "the engines put NULLs on opposite ends: use the macro next_known, or row_number and a filter"
_LARGEST = "use max_by or min_by, with filter (where ... is not null)"
_DIGEST = "the engines digest differently: use md5"
_WEEKDAY = "the engines count and name weekdays differently: use days_between and a Monday, as dim_date does"
_PATTERN = "the engines differ in how much they match: use replace or split_part, or hide it in macros/engine"
_LOGARITHM = "differs in its base, or of 0 and less"
INSTEAD: dict[str, str] = {
    "concat": "NULL makes the whole NULL on Spark alone: write a || b, which does on both",
    **dict.fromkeys(("date_diff", "datediff", "date_add", "date_sub", "dateadd", "age", "epoch"), _MACROS),
    **dict.fromkeys(("current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"), _CLOCK),
    **dict.fromkeys(("now", "today", "get_current_timestamp"), _CLOCK),
    **dict.fromkeys(("read_parquet", "read_json", "read_json_auto", "read_csv", "read_csv_auto"), _LAKE),
    **dict.fromkeys(("array_agg", "list", "string_agg", "group_concat", "listagg"), _LISTS),
    **dict.fromkeys(("unnest", "generate_series", "range"), _ROWS),
    **dict.fromkeys(("first_value", "last_value", "nth_value", "first", "last", "any_value"), _ENDS),
    **dict.fromkeys(("arg_max", "argmax", "arg_min", "argmin"), _LARGEST),
    **dict.fromkeys(("hash", "sha256", "sha2", "md5_number", "xxhash64"), _DIGEST),
    **dict.fromkeys(("dayofweek", "isodow", "weekday", "dayname"), _WEEKDAY),
    **dict.fromkeys(("regexp_replace", "regexp_extract", "regexp_matches"), _PATTERN),
    **dict.fromkeys(("ln", "log", "log2", "log10"), _LOGARITHM),
    "date_part": "write extract(... from ...)",
    "monthname": "Spark abbreviates it: write a case",
    "xor": "unknown to Spark: write a <> b",
}
UNKNOWN_FUNCTION = (
    "not known to be read alike by DuckDB and Spark: try it on both and add it to portability/known.py, "
    "or hide it in macros/engine"
)

_INTERVAL = "a date plus an interval is a timestamp here and a date there: use add_days"
_ZONE = "DuckDB ignores an offset, Spark does not: write UTC without a zone"
# Type of segment, what it looks like in lower case, and what to write instead.
SYNTAX: list[tuple[str, str, str]] = [
    ("quoted_identifier", "", "Spark reads double quotes as a string: choose a name that needs no quotes"),
    ("binary_operator", r"\^|\*\*", "a power here and an exclusive or there, or unknown: use power(a, b)"),
    ("binary_operator", "//", "Spark has no //: use floor(a / b)"),
    ("wildcard_exclude", "", "Spark has no * exclude: list the columns"),
    ("wildcard_replace", "", "Spark has no * replace: list the columns"),
    ("interval_expression", "", _INTERVAL),
    ("datetime_literal", "interval", _INTERVAL),
    ("datetime_literal", r".*:.*(z|[+-]\d\d(:?\d\d)?)'$", _ZONE),
    ("time_zone_grammar", "", _ZONE),
    ("date_part", "dow|isodow|weekday|dayofweek", _WEEKDAY),
    ("date_part", "(?!(year|quarter|month|week|day|doy|hour|minute)$)", "the engines differ: hide it in macros/engine"),
]
