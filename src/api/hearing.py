"""Words as one reader hears them: every piece of a text once, and in its place."""

from collections.abc import Iterable

import msgspec

from application.execution.speech import Opened, Token, Word


class Hearing:
    """
    What one reader has heard of messages that are still being spoken.

    Texts are told again now and then, for those who came late or missed a piece: so a
    word may bring what was heard before, and only the rest of it counts. A piece that
    something before it is missing of is left away until that is told again.
    """

    def __init__(self) -> None:
        self._lengths: dict[str, int] = {}
        self._finished: set[str] = set()

    def take(self, words: Iterable[Word]) -> list[Word]:
        """Return what *words* bring that is new; pieces that follow are joined."""
        new: list[Word] = []
        for word in words:
            if isinstance(word, Opened):
                self._open(word, new)
            elif (piece := self._piece(word)) is not None:
                new.append(piece)
                if len(new) > 1 and isinstance(before := new[-2], Token):
                    new[-2:] = _joined(before, piece)
        return new

    def finish(self, message: str) -> None:
        """Hear no more of a message: whole it is an event."""
        self._finished.add(message)
        self._lengths.pop(message, None)

    def _open(self, word: Opened, new: list[Word]) -> None:
        if word.of not in self._finished and word.of not in self._lengths:
            self._lengths[word.of] = 0
            new.append(word)

    def _piece(self, token: Token) -> Token | None:
        heard = self._lengths.get(token.message)
        if heard is None or token.offset > heard:
            return None
        rest = token.chunk[heard - token.offset :]
        if not rest:
            return None
        self._lengths[token.message] = heard + len(rest)
        return msgspec.structs.replace(token, offset=heard, chunk=rest)


def _joined(one: Token, other: Token) -> list[Token]:
    if one.message != other.message:
        return [one, other]
    return [
        msgspec.structs.replace(other, offset=one.offset, chunk=one.chunk + other.chunk)
    ]
