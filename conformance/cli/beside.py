"""Two programs beside each other: what theirs is told and what `lastword` is told instead, from the tables of
docs/from-*.md, and a server that takes down what each of them does."""

import asyncio
import contextlib
import pathlib
import re
import ssl
import subprocess
import sys
import tempfile

from websockets.asyncio.server import ServerConnection, serve, unix_serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from programs import LASTWORD, PATIENCE, ROOT, Program

TRIED = {}


def row(*names):
    """The check that follows tries the rows of the table that begin with these."""

    def remember(function):
        TRIED.update(dict.fromkeys(names, function.__name__))
        return function

    return remember


def every_row_is_tried(page):
    """A row that has something to run on the right has a check, and no check is for a row that is not there."""
    lines = [line.strip("| \n").split(" | ") for line in (ROOT / page).read_text().splitlines() if line[:1] == "|"]
    rows = {theirs.strip(): ours for theirs, *ours in lines[2:]}
    runnable = {theirs for theirs, ours in rows.items() if ours and "`" in ours[0]}
    assert not runnable - TRIED.keys(), f"not tried: {sorted(runnable - TRIED.keys())}"
    assert not TRIED.keys() - rows.keys(), f"not in {page}: {sorted(TRIED.keys() - rows.keys())}"


class Guest:
    """One connection, as the server of `noting` saw it."""

    def __init__(self, ws):
        self.ws = ws
        self.path = ws.request.path
        self.headers = ws.request.headers
        self.messages = []
        self.code = None
        self.reason = None

    def has(self, *names):
        return {name: self.headers.get_all(name) for name in names}


class Noting(ServerConnection):
    """Takes down pings, too, which are nobody's business otherwise."""

    pings = 0

    def process_event(self, event):
        if isinstance(event, Frame) and event.opcode is Opcode.PING:
            self.pings += 1
        super().process_event(event)


async def echo(ws, message):
    await ws.send(message)


async def nothing(_ws, _message):
    pass


class Notes:
    """Who came, in order."""

    def __init__(self, url):
        self.url = url
        self.guests = []
        self.news = asyncio.Condition()

    async def when(self, condition):
        """Waits until this is true of what was taken down, and returns it."""
        async with self.news:
            return await asyncio.wait_for(self.news.wait_for(lambda: condition(self)), PATIENCE)


@contextlib.asynccontextmanager
async def noting(answer=echo, *, unix=None, **options):
    """A server that does `answer` to each message, and takes all down."""
    notes = Notes(None)

    async def tell():
        async with notes.news:
            notes.news.notify_all()

    async def handler(ws):
        guest = Guest(ws)
        notes.guests.append(guest)
        await tell()
        with contextlib.suppress(ConnectionClosed):
            async for message in ws:
                guest.messages.append(message)
                await tell()
                await answer(ws, message)
        await ws.wait_closed()
        guest.code, guest.reason = ws.close_code, ws.close_reason
        await tell()

    options = {"create_connection": Noting, "close_timeout": 1, **options}
    started = unix_serve(handler, str(unix), **options) if unix else serve(handler, "127.0.0.1", 0, **options)
    async with started as server:
        if not unix:
            scheme = "wss" if options.get("ssl") else "ws"
            notes.url = f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}"
        yield notes


async def talk(*command, say=(), hear=1, env=None, first=""):
    """Starts a program, says these lines, hears so many, ends its input, and waits for its end: the lines, and how it
    exits. What it says `first` tells that it is ready."""
    async with Program(*command, env=env) as program:
        if first:
            while first not in await program.line():
                pass
        for line in say:
            program.say(line + "\n")
        lines = [await program.line() for _ in range(hear)]
        program.process.stdin.close()
        rest = await asyncio.wait_for(program.process.stdout.read(), PATIENCE)
        lines += rest.decode(errors="replace").splitlines()
        return lines, await asyncio.wait_for(program.process.wait(), PATIENCE)


async def left_alone(*command, env=None):
    """Runs a program to its end, while its standard input stays open: how it exits."""
    async with Program(*command, env=env) as program:
        return await asyncio.wait_for(program.process.wait(), PATIENCE)


def ours(*arguments):
    return [LASTWORD, *arguments]


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="lastword-cli-") as name:
        yield pathlib.Path(name)


def certificate(root):
    """A certificate of localhost, signed by itself, and its key."""
    cert, key = root / "cert.pem", root / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )
    return cert, key


def server_tls(cert, key, *, asks=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cert)
    return context


def stripped(messages):
    return [re.sub(r"\n$", "", message) for message in messages]
