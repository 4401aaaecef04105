"""Walks over a graph: what can be reached, and what lies in a circle."""

from collections.abc import Callable, Iterable, Iterator

type Steps = Callable[[str], Iterable[str]]


def reached(names: Iterable[str], steps: Steps) -> set[str]:
    """Return *names* and whatever *steps* lead to from them."""
    found = set(names)
    ahead = list(found)
    while ahead:
        for name in steps(ahead.pop()):
            if name not in found:
                found.add(name)
                ahead.append(name)
    return found


def circles(names: Iterable[str], steps: Steps) -> dict[str, int]:
    """
    Number the circles: two names have one number if each reaches the other.

    Names that lie in no circle are left out. (Tarjan's algorithm, without
    recursion, since a flow may be ten thousand vertices long.)
    """
    walk = _Walk(steps)
    for name in names:
        if name not in walk.order:
            walk.begin(name)
    return walk.circle


def feedback(names: Iterable[str], steps: Steps) -> set[tuple[str, str]]:
    """Return the steps that, walking from *names* in order, lead back onto the way."""
    back: set[tuple[str, str]] = set()
    finished: set[str] = set()
    for start in names:
        if start in finished:
            continue
        way = {start: iter(steps(start))}
        while way:
            name, ahead = next(reversed(way.items()))
            step = next(ahead, None)
            if step is None:
                finished.add(name)
                del way[name]
            elif step in way:
                back.add((name, step))
            elif step not in finished:
                way[step] = iter(steps(step))
    return back


class _Walk:
    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.order: dict[str, int] = {}
        self.circle: dict[str, int] = {}
        self._low: dict[str, int] = {}
        self._open: dict[str, None] = {}
        self._way: list[tuple[str, Iterator[str]]] = []

    def begin(self, name: str) -> None:
        self._enter(name)
        while self._way:
            name, ahead = self._way[-1]
            step = next(ahead, None)
            if step is None:
                self._way.pop()
                self._leave(name)
            elif step not in self.order:
                self._enter(step)
            elif step in self._open:
                self._low[name] = min(self._low[name], self.order[step])

    def _enter(self, name: str) -> None:
        self.order[name] = self._low[name] = len(self.order)
        self._open[name] = None
        self._way.append((name, iter(self._steps(name))))

    def _leave(self, name: str) -> None:
        if self._way:
            above = self._way[-1][0]
            self._low[above] = min(self._low[above], self._low[name])
        if self._low[name] != self.order[name]:
            return
        together: list[str] = []
        while not together or together[-1] != name:
            together.append(self._open.popitem()[0])
        if len(together) > 1 or name in self._steps(name):
            self.circle |= dict.fromkeys(together, self.order[name])
