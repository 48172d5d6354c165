"""The rules: what the engines read differently, or what one of them does not know. Each message says what to write.

What macros render is looked at as well, in the place where they are called; those of macros/engine, which may differ,
are seen as dbt_project/.sqlfluff renders them. An exception needs a reason above it, and a noqa with the rule's name.
"""

import re

from sqlfluff.core.rules import BaseRule, LintResult, RuleContext
from sqlfluff.core.rules.crawlers import SegmentSeekerCrawler

from portability.known import CASTS, INSTEAD, INTEGERS, OF_A_KIND, OF_THEIR_ARGUMENTS, SYNTAX, TYPES, UNKNOWN_FUNCTION
from portability.visible import arguments, cast_of, function_name, is_never_zero, kind, widest


class Rule_Portable_PB00(BaseRule):
    """What the rules below share; no rule by itself."""

    groups = ("all", "portable")
    targets_templated = True

    def _eval(self, context: RuleContext) -> LintResult | None:
        complaint = self.complaint(context)
        return LintResult(context.segment, description=complaint) if complaint else None

    def complaint(self, context: RuleContext) -> str | None:
        """What is wrong with the segment, which is of a type that the rule seeks, and what to write instead."""
        raise NotImplementedError


class Rule_Portable_PB01(Rule_Portable_PB00):
    """Syntax that only one engine has, or that means something else on the other."""

    name = "portable.syntax"
    crawl_behaviour = SegmentSeekerCrawler({type_ for type_, _, _ in SYNTAX})

    def complaint(self, context: RuleContext) -> str | None:
        segment = context.segment
        for type_, pattern, remedy in SYNTAX:
            if segment.is_type(type_) and re.match(pattern, segment.raw.lower()):
                return f"{segment.raw}: {remedy}."
        return None


class Rule_Portable_PB02(Rule_Portable_PB00):
    """A function that only one engine has, or that gives something else on the other."""

    name = "portable.functions"
    crawl_behaviour = SegmentSeekerCrawler({"function", "bare_function"})

    def complaint(self, context: RuleContext) -> str | None:
        segment = context.segment
        name = function_name(segment) or segment.raw.lower()
        if name in {"substr", "substring", "left", "right"}:
            position = "".join(part.raw for part in arguments(segment)[1:2])
            if not re.fullmatch("[1-9][0-9]*", position):
                return f"{name}: the engines differ where its number is 0 or less: write one from 1."
        if name in {"max_by", "min_by"} and not re.search(r"(?s)\)\s*filter\s*\(.* is not null", segment.raw.lower()):
            return f"{name}: Spark does not leave NULLs out as DuckDB does: add filter (where ... is not null)."
        if name in OF_A_KIND or name in OF_THEIR_ARGUMENTS or name in CASTS:
            return None
        return f"{name}: {INSTEAD.get(name, UNKNOWN_FUNCTION)}."


class Rule_Portable_PB03(Rule_Portable_PB00):
    """A cast whose result depends on the engine."""

    name = "portable.casts"
    crawl_behaviour = SegmentSeekerCrawler({"function"})

    def complaint(self, context: RuleContext) -> str | None:
        if not (cast := cast_of(context.segment)):
            return None
        operand, type_ = cast
        if type_ not in TYPES:
            return f"{type_} is not what both engines have: {', '.join(TYPES)}; timestamps are UTC without a zone."
        if type_ in INTEGERS and kind(operand) in {"decimal", "double"}:
            return f"as {type_}: DuckDB rounds a fraction, Spark cuts it off: cast(floor(...) as bigint)."
        if type_ == "timestamp" and kind(operand) != "moment" and operand.raw.lower() != "null":
            return "as timestamp: DuckDB ignores an offset in a text, Spark does not: write timestamp '...' in UTC."
        return None


class Rule_Portable_PB04(Rule_Portable_PB00):
    """A double that is rounded: near a half, each engine has its own way."""

    name = "portable.rounding"
    crawl_behaviour = SegmentSeekerCrawler({"function"})

    def complaint(self, context: RuleContext) -> str | None:
        segment = context.segment
        if cast := cast_of(segment):
            is_rounded = TYPES.get(cast[1]) == "decimal" and kind(cast[0]) == "double"
        else:
            is_rounded = function_name(segment) == "round" and widest(arguments(segment)[:1]) != "decimal"
        return "The engines round doubles differently near a half: round a decimal, or none." if is_rounded else None


class Rule_Portable_PB05(Rule_Portable_PB00):
    """A division by what may be 0, or of decimals."""

    name = "portable.division"
    crawl_behaviour = SegmentSeekerCrawler({"binary_operator", "function"})

    def complaint(self, context: RuleContext) -> str | None:
        segment = context.segment
        if segment.is_type("function"):
            divided = arguments(segment) if function_name(segment) == "avg" else []
        elif segment.raw == "/":
            *before, last = [part for part in context.siblings_pre if part.is_code]
            denominator = next(part for part in context.siblings_post if part.is_code)
            if not is_never_zero(denominator):
                return "x / 0 is infinite on DuckDB and an error on Spark: divide by nullif(..., 0)."
            divided = [last, denominator]
            while before and before[-1].raw in {"*", "/"}:
                *before, factor, _ = before
                divided.append(factor)
        else:
            return None
        if widest(divided) == "decimal":
            return "The engines keep different digits of a division of decimals: cast one side to double."
        return None


class Rule_Portable_PB06(Rule_Portable_PB00):
    """A moment minus a moment, which is a number or an interval."""

    name = "portable.subtraction"
    crawl_behaviour = SegmentSeekerCrawler({"binary_operator"})

    def complaint(self, context: RuleContext) -> str | None:
        if context.segment.raw == "-":
            before = next(part for part in reversed(context.siblings_pre) if part.is_code)
            after = next(part for part in context.siblings_post if part.is_code)
            if kind(before) == kind(after) == "moment":
                return "A number on DuckDB and an interval on Spark: use days_between or seconds_between."
        return None
