"""Events on their way into a file, page by page, with a bar that shows how far."""

import gzip
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from api.cli.output import Complaint, console
from application.events import LARGEST_PAGE, Events, line_of
from application.ports.browsing import Wanted
from domain.kernel import Log


async def export_events(
    events: Events,
    logs: Sequence[Log],
    wanted: Wanted,
    *,
    after: int,
    upto: int | None,
    out: Path,
) -> int:
    """Write what is wanted of *logs* as of now; return how many events that were."""
    encode = msgspec.json.Encoder().encode
    count = 0
    shown = console(error=True)
    with (
        _written(out) as file,
        Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=shown,
            disable=not shown.is_terminal,
        ) as bars,
    ):
        for log in logs:
            begin, end = await events.span(log, wanted)
            end = end if upto is None else min(end, upto)
            place = begin = max(begin, after)
            bar = bars.add_task(log, total=max(end - begin, 1))
            while place < end:
                page = await events.find(
                    log, wanted, after=place, upto=end, limit=LARGEST_PAGE
                )
                for one in page.events:
                    file.write(encode(line_of(one)) + b"\n")
                count += len(page.events)
                place = page.reached if page.more else end
                bars.update(bar, completed=place - begin)
            bars.update(bar, completed=max(end - begin, 1))
    return count


@contextmanager
def _written(out: Path) -> Iterator[BinaryIO]:
    """Open a file that is there under its name once it is whole."""
    unfinished = out.with_name(f".{out.name}.part")
    try:
        with unfinished.open("wb") as raw:
            os.fchmod(raw.fileno(), 0o600)
            if out.suffix == ".gz":
                with gzip.GzipFile(out.stem, "wb", 6, raw) as packed:
                    yield cast("BinaryIO", packed)
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())
        unfinished.replace(out)
    except OSError as error:
        raise Complaint(f"{out} cannot be written: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)
