"""What the text of an expression shows of its value. Columns have no type here: None means that nothing can be seen."""

import re
from collections.abc import Iterable

from sqlfluff.core.parser import BaseSegment

from portability.known import CASTS, OF_A_KIND, OF_THEIR_ARGUMENTS, TYPES, Kind

# The house's names of dates and of timestamps.
MOMENT = re.compile(r"(^|\.)date_\w+$|_date$|_at$")


def code_of(segment: BaseSegment) -> list[BaseSegment]:
    """The parts of a segment, without spaces, comments and brackets."""
    return [part for part in segment.segments if part.is_code and not part.is_type("start_bracket", "end_bracket")]


def function_name(function: BaseSegment) -> str:
    name = function.get_child("function_name")
    return name.raw.lower() if name else ""


def inside(function: BaseSegment) -> list[BaseSegment]:
    """All that stands between the brackets of a call."""
    contents = function.get_child("function_contents")
    bracketed = contents.get_child("bracketed") if contents else None
    return code_of(bracketed) if bracketed else []


def arguments(function: BaseSegment) -> list[BaseSegment]:
    return [part for part in inside(function) if part.is_type("expression")]


def cast_of(function: BaseSegment) -> tuple[BaseSegment, str] | None:
    """What is cast, and to which type; None if the function is no cast."""
    if function_name(function) not in CASTS:
        return None
    operand, *_, type_ = inside(function)
    return operand, type_.raw.lower().partition("(")[0].strip()


def kind(segment: BaseSegment) -> Kind | None:
    """What kind of value an expression visibly gives."""
    found: Kind | None = None
    match segment.get_type():
        case "numeric_literal":
            found = "double" if "e" in segment.raw.lower() else "decimal" if "." in segment.raw else None
        case "datetime_literal":
            found = "moment"
        case "column_reference":
            found = "moment" if MOMENT.search(segment.raw) else None
        case "function":
            name, cast = function_name(segment), cast_of(segment)
            found = TYPES.get(cast[1]) if cast else OF_A_KIND.get(name)
            found = widest(arguments(segment)) if name in OF_THEIR_ARGUMENTS else found
        case "case_expression":
            found = widest(code_of(clause)[-1] for clause in segment.get_children("when_clause", "else_clause"))
        case "expression" | "bracketed":
            parts = code_of(segment)
            if not any(part.is_type("comparison_operator", "keyword") for part in parts):  # else it is true or false
                found = "double" if any(part.raw == "/" for part in parts) else widest(parts)
    return found


def widest(segments: Iterable[BaseSegment]) -> Kind | None:
    """The kind that a sum of these, or a choice between them, has."""
    kinds = {kind(segment) for segment in segments}
    order: tuple[Kind, ...] = ("double", "decimal", "moment")
    return next((wide for wide in order if wide in kinds), None)


def is_never_zero(segment: BaseSegment) -> bool:
    """Whether an expression visibly gives NULL or a number other than 0."""
    never = False
    match segment.get_type():
        case "numeric_literal":
            never = float(segment.raw) != 0
        case "expression" | "bracketed":
            operators = {part.raw for part in code_of(segment) if part.is_type("binary_operator")}
            operands = [part for part in code_of(segment) if not part.is_type("binary_operator")]
            # A number and a constant, as in shares that are smoothed: trusted not to cancel each other out.
            if operators == {"+"}:
                never = any(part.is_type("numeric_literal") and is_never_zero(part) for part in operands)
            else:
                never = operators <= {"*", "/"} and all(map(is_never_zero, operands))
        case "function":
            match function_name(segment):
                case "nullif":
                    never = arguments(segment)[-1].raw == "0"
                case "count":
                    is_of_all = [part.raw for part in inside(segment)] == ["*"]
                    never = is_of_all and segment.get_child("over_clause") is not None
                case "abs" | "sqrt" | "power" | "cast" | "try_cast":
                    never = is_never_zero(arguments(segment)[0])
    return never
