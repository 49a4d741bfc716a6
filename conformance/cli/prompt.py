"""A program at a terminal, and a person who types and reads there."""

import asyncio
import contextlib
import os
import pty
import re
import sys
import pathlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from programs import PATIENCE

# Colours, and where the cursor goes.
ORDERS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Person:
    def __init__(self, terminal, process):
        self.terminal = terminal
        self.process = process
        self.seen = ""
        self.raw = ""
        self.news = asyncio.Event()

    def types(self, text):
        os.write(self.terminal, text.encode())

    def reads(self):
        with contextlib.suppress(OSError):
            text = os.read(self.terminal, 1 << 16).decode(errors="replace")
            self.raw += text
            self.seen += ORDERS.sub("", text)
            self.news.set()

    async def sees(self, *texts):
        """Waits for these, one after the other; what came before them is not looked at again."""
        for text in texts:
            async with asyncio.timeout(PATIENCE):
                while text not in self.seen:
                    self.news.clear()
                    await self.news.wait()
            self.seen = self.seen.split(text, 1)[1]


@contextlib.asynccontextmanager
async def prompt(*command, env=None):
    terminal, inside = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *[str(part) for part in command], stdin=inside, stdout=inside, stderr=inside, start_new_session=True,
        env={**os.environ, "TERM": "xterm", **(env or {})},
    )
    os.close(inside)
    person = Person(terminal, process)
    loop = asyncio.get_running_loop()
    loop.add_reader(terminal, person.reads)
    try:
        yield person
    except TimeoutError:
        raise AssertionError(f"not seen; there is {person.seen!r}") from None
    finally:
        loop.remove_reader(terminal)
        if process.returncode is None:
            process.kill()
        await process.wait()
        os.close(terminal)
