"""One query for all who ask at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping


class Gathered[K, V]:
    """
    Asks about many keys at once.

    Whoever comes first is asked for at once. Who comes while that is under way
    joins the next query, which begins after all of them have come: so nobody gets
    an answer that is older than the question.
    """

    def __init__(self, ask: Callable[[list[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._ask = ask
        self._asked: dict[K, asyncio.Future[V | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def of(self, key: K) -> V | None:
        """Return what *key* stands for, if there is anything."""
        found = self._asked.get(key)
        if found is None:
            found = asyncio.get_running_loop().create_future()
            self._asked[key] = found
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._answer())
        # Others may wait for the same: one who leaves must not take it from them.
        return await asyncio.shield(found)

    async def _answer(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, {}
            try:
                known = await self._ask(list(asked))
            except Exception as error:  # noqa: BLE001 - whatever it is, they wait for it
                for future in asked.values():
                    future.set_exception(error)
                    future.exception()  # those who asked may all have left
            except BaseException:  # the server stops
                for future in asked.values():
                    future.cancel()
                raise
            else:
                for key, future in asked.items():
                    future.set_result(known.get(key))
