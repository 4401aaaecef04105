"""Plain lists in parts: which one is asked for, and what is said of the rest."""

from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from litestar import Request
from litestar.params import FromQuery
from msgspec import Meta

from api.security import KEY
from api.stamps import leave
from projections.reading import Found

AnyRequest = Request[Any, Any, Any]

MOST: Final = 10_000
"""Items of a list in one answer, where nobody asks for fewer."""

type Limit = Annotated[int, Meta(ge=1, le=MOST, description="Items at most.")]
type Offset = Annotated[int, Meta(ge=0, description="Items to pass over.")]


class Part:
    """
    The part of a list that is asked for, by default all that one answer holds.

    ``X-Total-Count`` tells how many items there are, and ``Link`` where the next ones
    are, if there are more: nothing is left out in silence.
    """

    def __init__(self, request: AnyRequest, limit: int, offset: int) -> None:
        self._request = request
        self.limit = limit
        self.offset = offset

    def told[T](self, rows: Found[T]) -> Found[T]:
        """Return *rows*, which answer this, once the answer tells of the rest."""
        headers = {"x-total-count": str(rows.total)}
        after = self.offset + self.limit
        if after < rows.total:
            headers["link"] = f'<{self._address(after)}>; rel="next"'
        leave(self._request.scope, headers)
        return rows

    def _address(self, offset: int) -> str:
        mine = ("limit", "offset", KEY)  # a key is no part of an address
        asked = self._request.query_params.multi_items()
        kept = [(name, value) for name, value in asked if name not in mine]
        query = urlencode([*kept, ("limit", self.limit), ("offset", offset)])
        return f"{quote(self._request.url.path)}?{query}"


def part_of(
    request: AnyRequest, limit: FromQuery[Limit] = MOST, offset: FromQuery[Offset] = 0
) -> Part:
    """Return the part that *request* asks for."""
    return Part(request, limit, offset)
