"""A process that writes as fast as it can, for a time; the peer of one that shares."""

import argparse
import asyncio
import sys

import msgspec
import uvloop

from benchmarks.append import ours
from infrastructure.postgres import Database


async def write(url: str, clients: int, seconds: int) -> None:
    database = await Database.open(url, pool_size=2)
    say(b"ready")
    # Whoever started us says when, each time: so that all begin together.
    while await asyncio.to_thread(sys.stdin.readline):
        say(msgspec.json.encode(await ours(database, clients, seconds)))
    await database.close()


def say(word: bytes) -> None:
    sys.stdout.buffer.write(word + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("clients", type=int)
    parser.add_argument("seconds", type=int)
    given = parser.parse_args()
    uvloop.run(write(given.url, given.clients, given.seconds))


if __name__ == "__main__":
    main()
