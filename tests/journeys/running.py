"""The ``langbuilder`` command as people run it: a process, its words, its end."""

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx
from click.testing import CliRunner

from api.cli import main
from tests.servers import directory_for_servers

COMMAND = Path(sys.executable).with_name("langbuilder")
READY = "Press Ctrl+C to stop."
STARTS_WITHIN = 90.0


def environment(**settings: str) -> dict[str, str]:
    """Our own environment without anybody's settings, and then *settings*."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LANGBUILDER_")}
    return kept | {f"LANGBUILDER_{k.upper()}": v for k, v in settings.items()}


def command(
    *arguments: str, cwd: Path, within: float = STARTS_WITHIN, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=cwd,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )


def program(code: Path | None) -> list[str | Path]:
    """Return the command of the sources in *code*, or of our own."""
    if code is None:
        return [COMMAND]
    return [sys.executable, "-c", "from api.cli import main; main()"]


def path_to(code: Path | None) -> dict[str, str]:
    """Return the environment in which the sources in *code* go before ours."""
    return {"PYTHONPATH": f"{code / 'src'}:{code}"} if code else {}


class Running:
    """A server that was started by the command, and what it said."""

    def __init__(
        self,
        home: Path,
        *arguments: str,
        settings: Mapping[str, str],
        code: Path | None = None,
    ):
        self.home = home
        self.said: list[str] = []
        self._process = subprocess.Popen(
            [*program(code), "run", "--port", "0", *arguments],
            cwd=home,
            env=environment(data_dir=str(home / "data"), **settings) | path_to(code),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            for line in stdout:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def until_ready(self) -> Self:
        deadline = time.monotonic() + STARTS_WITHIN
        while not self.said or self.said[-1] != READY:
            line = self._lines.get(timeout=max(0.1, deadline - time.monotonic()))
            assert line is not None, "\n".join(["it ended:", *self.said])
            self.said.append(line)
        return self

    @property
    def words(self) -> str:
        return "\n".join(self.said)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def address(self) -> str:
        return self._found(r"address +(http://\S+)")

    @property
    def username(self) -> str:
        return self._found(r"user name +(\S+)")

    @property
    def password(self) -> str:
        return self._found(r"password +(\S+)")

    @property
    def link(self) -> str:
        return self._found(r"sign in +(http://\S+)")

    def _found(self, pattern: str) -> str:
        match = re.search(pattern, self.words)
        assert match, self.words
        return match[1]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Send a signal, wait for the end, and return how long that took."""
        began = time.monotonic()
        self._process.send_signal(number)
        self._process.wait(timeout=30)
        took = time.monotonic() - began
        while (line := self._lines.get(timeout=5)) is not None:
            self.said.append(line)
        return took

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    @property
    def ended_with(self) -> int | None:
        return self._process.poll()

    def apart(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command on the same data, as a process of its own."""
        return command(*arguments, cwd=self.home, data_dir=str(self.home / "data"))

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """
        Run another command on the same data, to its end, in this process.

        That it can be started at all is asked with `apart`, for that takes a second.
        """
        names = (name for name in os.environ if name.startswith("LANGBUILDER_"))
        settings: dict[str, str | None] = dict.fromkeys(names)
        settings["LANGBUILDER_DATA_DIR"] = str(self.home / "data")
        # A thread, for this one may have a loop of its own.
        with ThreadPoolExecutor(1) as thread, chdir(self.home):
            asked = partial(CliRunner().invoke, main, arguments, env=settings)
            done = thread.submit(asked).result(STARTS_WITHIN)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(
            arguments, done.exit_code, done.stdout, done.stderr
        )

    def ask(self, *arguments: str, apart: bool = False) -> list[dict[str, Any]]:
        """Run another command on the same data, and read its JSON lines."""
        run = self.apart if apart else self.command
        done = run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def running(home: Path, *arguments: str, **settings: str) -> Iterator[Running]:
    """Serve from *home* until the end of the block."""
    with served(Running(home, *arguments, settings=settings)) as server:
        yield server


@contextmanager
def served(server: Running) -> Iterator[Running]:
    """Give *server* once it serves, and see that it has ended by the block's end."""
    try:
        yield server.until_ready()
    finally:
        if server.ended_with is None:
            server.stop()


@contextmanager
def home_and_server(**settings: str) -> Iterator[Running]:
    """Serve from a new, empty place."""
    with directory_for_servers() as home, running(home, **settings) as server:
        yield server


@contextmanager
def signed_in(server: Running, username: str, password: str) -> Iterator[httpx.Client]:
    """Give a client that is signed in at *server*."""
    with httpx.Client(base_url=server.address, timeout=30) as client:
        form = {"username": username, "password": password}
        answer = client.post("/api/v1/login", data=form)
        assert answer.status_code == 200, answer.text
        client.cookies.clear()
        client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client
