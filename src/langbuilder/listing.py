"""Lists that are fetched page by page, as far as somebody reads."""

import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from langbuilder.drivers import Awaiting, Blocking, Ended
from langbuilder.steps import Give, Steps
from langbuilder.wire import Answer, Call, get

# Never to another server, which would get our key.
_NEXT: Final = re.compile(r'<(/[^/<>][^<>]*)>; rel="next"')

PAGE: Final = 50
"""Items a page, where nobody says otherwise."""


class Cursor[D, T]:
    """Where somebody is in a list, or in a stream."""

    def __init__(self, driver: D, steps: Steps[None]) -> None:
        self._driver: Any = driver
        self.steps = steps
        self._ready: deque[T] = deque()

    def __iter__(self: "Cursor[Blocking, T]") -> Iterator[T]:
        return self

    def __next__(self: "Cursor[Blocking, T]") -> T:
        while not self._ready:
            given = self._driver.go_on(self.steps)
            if isinstance(given, Ended):
                raise StopIteration
            self._ready.extend(given.items)
        return self._ready.popleft()

    def __aiter__(self: "Cursor[Awaiting, T]") -> AsyncIterator[T]:
        return self

    async def __anext__(self: "Cursor[Awaiting, T]") -> T:
        while not self._ready:
            given = await self._driver.go_on(self.steps)
            if isinstance(given, Ended):
                raise StopAsyncIteration
            self._ready.extend(given.items)
        return self._ready.popleft()


class Listing[D, T]:
    """
    A list that nobody has read yet: iterate over it, with ``for`` or ``async for``.

    It asks the server for a page when somebody reads that far, and begins anew
    for each who iterates. What is changed meanwhile may be seen or not; nothing is
    given twice.
    """

    def __init__(self, driver: D, steps: Callable[[], Steps[None]]) -> None:
        self._driver = driver
        self._steps = steps

    def __iter__(self: "Listing[Blocking, T]") -> Iterator[T]:
        return Cursor(self._driver, self._steps())

    def __aiter__(self: "Listing[Awaiting, T]") -> AsyncIterator[T]:
        return Cursor(self._driver, self._steps())


class Page[T](msgspec.Struct, frozen=True):
    """One page, and how many there are."""

    items: tuple[T, ...]
    pages: int = 0


def whole[T](
    send: Callable[[Call], Steps[Answer]],
    call: Call,
    items: Callable[[Answer], Iterable[T]],
) -> Steps[tuple[T, ...]]:
    """Return all *items* of a plain list, in however many answers it comes."""
    found: list[T] = []
    following: Call | None = call
    while following is not None:
        answer = yield from send(following)
        found += items(answer)
        onward = _NEXT.search(answer.headers.get("link", ""))
        following = None if onward is None else get(onward[1])
    return tuple(found)


def paged(
    send: Callable[[Call], Steps[Answer]],
    asking: Callable[[int], Call],
    kind: Any,
) -> Steps[None]:
    """Give the items of all pages; *asking* returns the question for a page, from 1."""
    seen: set[Any] = set()
    number, pages = 1, 1
    while number <= pages:
        answer = yield from send(asking(number))
        page: Page[Any] = answer.read(Page[kind])
        fresh = [item for item in page.items if item.id not in seen]
        seen.update(item.id for item in fresh)
        yield Give(fresh)
        number, pages = number + 1, page.pages
