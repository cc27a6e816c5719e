"""Turn values of a filter on and off, as facet links and chips do. Every function returns a new filter.

The *selection* of a field are its plain terms, as ``object:dog|cat``: neither negated nor counted nor compared
(for numbers and dates a comparison such as ``people:>=2`` is a selection too).
"""

from __future__ import annotations

from dataclasses import replace

from search.types import Filter, Op, Term
from search.words import fold


def selected_values(filter: Filter, field: str) -> tuple[str, ...]:
    """Return the values that are turned on for a field, in the order of the expression, each once."""
    values = {fold(value): value for term in filter.terms if _lists(term, field) for value in reversed(term.values)}
    order = dict.fromkeys(fold(value) for term in filter.terms if _lists(term, field) for value in term.values)
    return tuple(values[key] for key in order)


def with_value(filter: Filter, field: str, value: str) -> Filter:
    """Return the filter with a value turned on, as one more alternative of the field's first term (OR)."""
    if _is_on(filter, field, value):
        return filter
    for position, term in enumerate(filter.terms):
        if _lists(term, field):
            wider = replace(term, values=(*term.values, value))
            return Filter((*filter.terms[:position], wider, *filter.terms[position + 1 :]))
    return Filter((*filter.terms, Term(field, Op.EQ, (value,))))


def without_value(filter: Filter, field: str, value: str) -> Filter:
    """Return the filter with a value turned off; a term that loses its last value goes."""
    terms = []
    for term in filter.terms:
        if _lists(term, field):
            kept = tuple(other for other in term.values if fold(other) != fold(value))
            terms += [replace(term, values=kept)] if kept else []
        else:
            terms.append(term)
    return Filter(tuple(terms))


def toggled(filter: Filter, field: str, value: str) -> Filter:
    """Return the filter with a value turned off if it is on, and on if it is off."""
    return without_value(filter, field, value) if _is_on(filter, field, value) else with_value(filter, field, value)


def also(filter: Filter, field: str, value: str) -> Filter:
    """Return the filter with a value turned on besides those that are, as a term of its own (AND)."""
    return filter if _is_on(filter, field, value) else Filter((*filter.terms, Term(field, Op.EQ, (value,))))


def any_of(filter: Filter, field: str) -> Filter:
    """Return the filter in which one of a field's values is enough: in one term, at the place of the first."""
    listing = [term for term in filter.terms if _lists(term, field)]
    if len(listing) < 2:
        return filter
    joined = replace(listing[0], values=selected_values(filter, field))
    terms = [joined if term is listing[0] else term for term in filter.terms]
    return Filter(tuple(term for term in terms if term not in listing[1:]))


def all_of(filter: Filter, field: str) -> Filter:
    """Return the filter in which each of a field's values has to hold: a term for each."""
    terms: list[Term] = []
    for term in filter.terms:
        terms += [replace(term, values=(value,)) for value in term.values] if _lists(term, field) else [term]
    return Filter(tuple(terms))


def wants_all(filter: Filter, field: str) -> bool:
    """Return whether several values of a field have to hold together."""
    return sum(_lists(term, field) for term in filter.terms) > 1


def ends(filter: Filter, field: str) -> tuple[str, str]:
    """Return the first and the last number that comparisons let through, where they say one."""
    first = last = ""
    for term in filter.terms:
        if _compares(term, field):
            match term.op:
                case Op.RANGE:
                    first, last = term.values
                case Op.GE:
                    first = term.values[0]
                case Op.GT:
                    first = str(int(term.values[0]) + 1)
                case Op.LE:
                    last = term.values[0]
                case Op.LT:
                    last = str(int(term.values[0]) - 1)
    return first, last


def between(filter: Filter, field: str, first: str, last: str) -> Filter:
    """Return the filter with a field of numbers from ``first`` to ``last``, either of which may be empty.

    It takes the place of what was selected; without both, comparisons go and plain values stay.
    """
    if not first and not last:
        return without_comparisons(filter, field)
    if first and last:
        term = Term(field, Op.RANGE, (first, last))
    else:
        term = Term(field, Op.GE, (first,)) if first else Term(field, Op.LE, (last,))
    return Filter((*without_selection(filter, field).terms, term))


def without_comparisons(filter: Filter, field: str) -> Filter:
    """Return the filter without comparisons on a field that are not negated, as ``people:>=2``."""
    return Filter(tuple(term for term in filter.terms if not _compares(term, field)))


def without_selection(filter: Filter, field: str) -> Filter:
    """Return the filter under which a facet is counted: the field's selection left out, all other terms kept."""
    return Filter(tuple(term for term in filter.terms if not _selects(term, field)))


def without_field(filter: Filter, field: str) -> Filter:
    """Return the filter without any term on a field, negated and counted ones too."""
    return Filter(tuple(term for term in filter.terms if term.field != field))


def without_term(filter: Filter, term: Term) -> Filter:
    """Return the filter without one term, as its chip is removed."""
    return Filter(tuple(other for other in filter.terms if other != term))


def _selects(term: Term, field: str) -> bool:
    return term.field == field and not term.negated and term.counted is None


def _lists(term: Term, field: str) -> bool:
    return _selects(term, field) and term.op is Op.EQ


def _compares(term: Term, field: str) -> bool:
    return _selects(term, field) and term.op is not Op.EQ


def _is_on(filter: Filter, field: str, value: str) -> bool:
    return fold(value) in map(fold, selected_values(filter, field))
