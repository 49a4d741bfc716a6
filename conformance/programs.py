"""Programs on either side of a connection: started, read a line at a time, and never left behind."""

import asyncio
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILT = ROOT / os.environ.get("LASTWORD_BUILD", "target/release")
LASTWORD = BUILT / "lastword"
PATIENCE = 60


class Program:
    """A program whose standard output is read a line at a time; `env` is added to our environment."""

    def __init__(self, *command, env=None):
        self.command = [str(part) for part in command]
        self.env = {**os.environ, **(env or {})}

    async def __aenter__(self):
        self.process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.env,
            limit=1 << 24,
        )
        return self

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def line(self):
        line = await asyncio.wait_for(self.process.stdout.readline(), PATIENCE)
        assert line, f"{self.command[0]} said nothing more"
        return line.decode().rstrip("\n")

    async def json(self):
        return json.loads(await self.line())

    async def event(self, kind):
        """The next event of this kind."""
        while True:
            event = await self.json()
            if event["ev"] == kind:
                return event

    def say(self, text):
        self.process.stdin.write(text.encode())


class Server(Program):
    """Our server, and where it listens."""

    def __init__(self, *options):
        super().__init__(LASTWORD, "serve", "--port", "0", "--report", "json", *options)

    async def __aenter__(self):
        await super().__aenter__()
        self.url = "ws://" + (await self.event("listening"))["addr"]
        return self


class Ran(NamedTuple):
    """What a program said until its end."""

    out: str
    err: str
    status: int


async def ran(*command, say="", env=None):
    """Runs a program to its end; its standard input is `say`, and ends."""
    process = await asyncio.create_subprocess_exec(
        *[str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=Program(env=env).env,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(say.encode()), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
    return Ran(out.decode(errors="replace"), err.decode(errors="replace"), process.returncode)


def free_port():
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        return probe.getsockname()[1]


async def listens(port, process):
    """Whether somebody listens on this port, within some seconds and while this program runs."""
    for _ in range(200):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return True
        if process.returncode is not None:
            return False
        await asyncio.sleep(0.05)
    return False


def check(seen, **expected):
    for name, value in expected.items():
        assert seen[name] == value, f"{name}: {seen[name]!r}, expected {value!r} in {seen}"


async def run(names):
    """Runs each function among `names` that begins with `check_`; how many failed."""
    checks = {name: f for name, f in names.items() if name.startswith("check_")}
    failed = 0
    for name, function in checks.items():
        start = time.monotonic()
        try:
            await asyncio.wait_for(function(), 3 * PATIENCE)
            print(f"ok      {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except Exception as error:  # noqa: BLE001: each failure is told, whatever it is
            failed += 1
            print("FAILED ", name, repr(error), file=sys.stderr, flush=True)
    print(f"{len(checks) - failed} passed, {failed} failed")
    return failed
