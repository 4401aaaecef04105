"""The SQL of the event store, read from the files beside this module."""

from importlib.resources import files

from domain.kernel import Log

LOCK_KEYS: dict[Log, int] = {"core": 0x6C62_0001, "runs": 0x6C62_0002}
"""Advisory locks: who holds a log's lock until commit alone draws its positions."""

ADMITTED = "i.cmd <> ALL ((SELECT current_setting('es.refused'))::int[])"


def named(
    file: str, *, package: str = "infrastructure.event_store", **words: str
) -> dict[str, bytes]:
    """Return the statements of *file* by name, with each ``$word`` put in."""
    text = (files(package) / file).read_text()
    for word, meaning in {"admitted": ADMITTED, **words}.items():
        text = text.replace(f"${word}", meaning)
    _, *blocks = text.split("-- name: ")
    named = (block.partition("\n") for block in blocks)
    return {name.strip(): statement.strip().encode() for name, _, statement in named}


STATEMENTS: dict[Log, dict[str, bytes]] = {
    "core": named("log.sql", log="core"),
    "runs": named("log.sql", log="runs"),
}
SESSION = named("session.sql")
ATTACHMENTS = named("attachments.sql")
