"""How a handler asks for what the composition made: by the parameter's name."""

from typing import Annotated, TypeVar

from litestar.di import NamedDependency
from litestar.params import SkipValidationMarker

T = TypeVar("T")

# Ours were checked by mypy; Litestar's check of each would cost every request, and
# cannot tell a Protocol from its adapter. A `type` statement it could not read.
Given = Annotated[NamedDependency[T], SkipValidationMarker()]
