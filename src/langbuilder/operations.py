"""
Operations written once: generators of steps, which a driver carries out.

The driver blocks or is awaited; nothing else differs between `Client` and
`AsyncClient`.
"""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, Self, overload

from langbuilder.drivers import Awaiting, Blocking
from langbuilder.listing import whole
from langbuilder.sending import Sending
from langbuilder.steps import Steps
from langbuilder.wire import Answer, Call


class Resource[D]:
    """A group of operations, over a driver."""

    def __init__(self, driver: D, sending: Sending) -> None:
        self._driver = driver
        self._sending = sending

    def _send(self, call: Call) -> Steps[Answer]:
        return self._sending.send(call)

    def _whole[T](self, call: Call, kind: type[T]) -> Steps[tuple[T, ...]]:
        """Return all items of a plain list."""
        several: Any = list[kind]  # type: ignore[valid-type]  # msgspec reads it
        return whole(self._sending.send, call, lambda answer: answer.read(several))


class operation[**P, T]:  # noqa: N801 - a decorator
    """
    Makes a method of a generator of steps: it blocks, or is awaited.

    Which one depends on the resource that it is taken from.
    """

    def __init__(self, steps: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        @wraps(steps)
        def method(resource: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
            return resource._driver.run(steps(resource, *args, **kwargs))  # noqa: SLF001 - of its own resource

        self.steps = steps
        self._method: Any = method
        self.__doc__ = steps.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: Resource[Blocking], owner: type) -> Callable[P, T]: ...

    @overload
    def __get__(
        self, instance: Resource[Awaiting], owner: type
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else self._method.__get__(instance, owner)
