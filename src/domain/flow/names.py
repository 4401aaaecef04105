"""Names of flows: how a taken one gets a number, and what an endpoint may be."""

import re
from collections.abc import Iterable

from domain.kernel import DomainError

_ENDPOINT = re.compile("[a-zA-Z0-9_-]+")
_DIGITS = "([0-9]{1,12})"


class InvalidEndpointNameError(DomainError):
    """Endpoint name must contain only letters, numbers, hyphens, and underscores."""


def next_name(name: str, taken: Iterable[str]) -> str:
    """Return *name*, or where it is taken ``name (n)`` with the next number."""
    return _next(name, taken, form=f"{re.escape(name)} \\({_DIGITS}\\)", made="{} ({})")


def next_endpoint(name: str, taken: Iterable[str]) -> str:
    """Return *name*, or where it is taken ``name-n`` with the next number."""
    check_endpoint(name)
    return _next(name, taken, form=f"{re.escape(name)}-{_DIGITS}", made="{}-{}")


def check_endpoint(name: str) -> None:
    """Refuse an endpoint name that could not stand in an address."""
    if not _ENDPOINT.fullmatch(name):
        raise InvalidEndpointNameError(repr(name))


def _next(name: str, taken: Iterable[str], *, form: str, made: str) -> str:
    names = taken if isinstance(taken, set) else set(taken)
    if name not in names:
        return name
    numbered = re.compile(form)
    numbers = [int(m[1]) for one in names if (m := numbered.fullmatch(one))]
    return made.format(name, max(numbers, default=0) + 1)
