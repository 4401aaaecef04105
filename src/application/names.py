"""What people may call things: short enough to be looked up, and readable."""

from typing import Annotated, Final

from msgspec import Meta

LONGEST: Final = 500

# Names are looked up in an index, whose entries have a limit, and written to files
# and headers, where control characters mean something.
Name = Annotated[str, Meta(max_length=LONGEST, pattern=r"^[^\x00-\x1f\x7f]*$")]

Password = Annotated[str, Meta(max_length=4_096)]
