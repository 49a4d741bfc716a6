"""Other programs that `lastword` stands for: the prompt of Python's `websockets` and websocketd. Started by
conformance/cli/run."""

import asyncio
import contextlib
import sys

from beside import ours, talk
from prompt import prompt
from programs import PATIENCE, Program, Server, check, free_port, listens, ran, run
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


async def check_the_prompt_of_websockets_and_ours():
    async with Server() as server:
        for command, code in [([sys.executable, "-m", "websockets", server.url], 1000), (ours("connect", server.url), 1000)]:
            async with prompt(*command) as person:
                await person.sees("Connected to ws://127.0.0.1", "> ")
                check(await server.event("open"), compression=True)
                person.types("grüezi\r")
                check(await server.event("msg"), kind="text", text="grüezi")
                await person.sees("< grüezi")
                # The end of the input.
                person.types("\x04")
                check(await server.event("end"), clean=True, code=code, first="peer", msgs=1)
                await person.sees("1000")
                await person.process.wait()


async def check_the_prompt_of_websockets_hears_of_a_shutdown():
    async with Server() as server:
        async with prompt(sys.executable, "-m", "websockets", server.url) as person:
            await person.sees("Connected")
            await server.event("open")
            server.process.terminate()
            await person.sees("Connection closed: 1001 (going away) server is shutting down.")
            check(await server.event("end"), clean=True, code=1001)


async def check_the_prompt_of_websockets_and_a_certificate_of_ours():
    async with Server("--tls") as server:
        url = server.url.replace("ws:", "wss:")
        async with prompt(sys.executable, "-m", "websockets", "--insecure", url) as person:
            await person.sees("Connected", "> ")
            person.types("in secret\r")
            await person.sees("< in secret")


@contextlib.asynccontextmanager
async def both(command):
    """The same command behind websocketd and behind `serve --exec`."""
    port = free_port()
    arguments = ["--loglevel=fatal", "--address=127.0.0.1", f"--port={port}", "sh", "-c", command]
    async with Program("websocketd", *arguments) as daemon, Server("--exec", command) as server:
        assert await listens(port, daemon.process)
        yield f"ws://127.0.0.1:{port}", server.url


async def heard(url, *, say=(), path="/"):
    """All that comes until the end, and its code."""
    messages = []
    async with connect(url + path, additional_headers={"X-Key": "a, b"}) as ws:
        for line in say:
            await ws.send(line)
        with contextlib.suppress(ConnectionClosed):
            while True:
                messages.append(await asyncio.wait_for(ws.recv(), PATIENCE))
        return messages, ws.close_code


async def check_lines_of_a_process_are_messages():
    for command, say, expected in [
        ("for number in 1 2 3; do echo $number; done", [], ["1", "2", "3"]),
        ("head -n 2", ["grüezi", "two words"], ["grüezi", "two words"]),
        ("while read -r line; do [ \"$line\" = stop ] && exit; echo \"<$line>\"; done", ["a", "b", "stop"], ["<a>", "<b>"]),
        ("printf 'of Windows\\r\\n\\n'", [], ["of Windows", ""]),
    ]:
        async with both(command) as (theirs, own):
            (one, their_code), (other, our_code) = await heard(theirs, say=say), await heard(own, say=say)
            assert one == other == expected, (command, one, other)
            # websocketd ends the stream without a close frame, whatever became of the process.
            assert (their_code, our_code) == (1006, 1000), (their_code, our_code)
    # What has no end of a line is lost there.
    async with both("printf 'no end'") as (theirs, own):
        assert (await heard(theirs), await heard(own)) == (([], 1006), (["no end"], 1000))
    async with both("exit 3") as (_, own):
        assert await heard(own) == ([], 1011)


async def check_a_process_is_told_the_same():
    names = [
        "HTTP_X_KEY", "HTTPS", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "REMOTE_HOST", "REQUEST_METHOD",
        "REQUEST_URI", "SERVER_NAME", "SERVER_PROTOCOL",
    ]
    command = "; ".join(f'echo "{name}=${{{name}-unset}}"' for name in names)
    async with both(command) as (theirs, own):
        (one, _), (other, _) = await heard(theirs, path="/a%20b/c?d=e&f"), await heard(own, path="/a%20b/c?d=e&f")
        assert one == other and "PATH_INFO=/a b/c" in other and len(other) == len(names), (one, other)


async def check_websocketd_and_our_client():
    async with both('while read -r line; do echo "<$line>"; done') as (theirs, _):
        lines, status = await talk(*ours("connect", theirs), say=["a", "b"], hear=2)
        # It answers no close.
        assert (lines, status) == (["<a>", "<b>"], 0), (lines, status)
    async with both("echo only; exit 1") as (theirs, _):
        done = await ran(*ours("connect", theirs, "--listen"))
        assert (done.out, done.status) == ("only\n", 4) and "without a close frame" in done.err, done


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(run(globals())) else 0)
