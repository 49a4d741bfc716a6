"""Each example of the repository, run once as its first lines say. Started by conformance/middle/run."""

import asyncio
import contextlib
import signal
import sys

from around import EXAMPLES, daemon, output, says
from programs import PATIENCE, ROOT, Program, Server, free_port, run
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

# conformance/autobahn drives the first, conformance/clients the second.
ELSEWHERE = {"autobahn_client", "checksum"}


@contextlib.asynccontextmanager
async def listening(name, *arguments):
    """An example that listens on an address of its choice, and what it says."""
    port = free_port()
    async with daemon(port, EXAMPLES / name, f"127.0.0.1:{port}", *arguments) as process:
        yield f"127.0.0.1:{port}", process


async def interrupt(process):
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), PATIENCE) == 0


async def hears(ws, expected):
    assert await asyncio.wait_for(ws.recv(), PATIENCE) == expected


async def arrive(ws, name):
    """Is opened before its handler has subscribed it; whoever hears himself hears the others, too."""
    await ws.send(name)
    while await asyncio.wait_for(ws.recv(), PATIENCE) != name:
        pass


async def check_no_example_is_forgotten():
    found = {path.stem for path in ROOT.glob("crates/*/examples/*.rs")}
    found |= {path.parent.name for path in ROOT.glob("crates/*/examples/*/main.rs")}
    tried = {name.removeprefix("check_example_") for name in globals() if name.startswith("check_example_")}
    assert found == tried | ELSEWHERE, found ^ (tried | ELSEWHERE)


async def check_example_echo_server():
    async with listening("echo_server") as (address, process):
        async with connect(f"ws://{address}") as ws:
            await ws.send("hello")
            await hears(ws, "hello")
            await interrupt(process)
            await ws.wait_closed()
            assert ws.close_code == 1001


async def check_example_echo_without_async():
    async with listening("echo_without_async") as (address, _):
        out, _ = await output("curl", "-s", "-i", f"http://{address}/health")
        says(out, "HTTP/1.1 200", "fine")
        async with connect(f"ws://{address}/") as ws:
            await ws.send("hello, where / leads to")
            await hears(ws, "hello, where / leads to")
        async with connect(f"ws://{address}/upper/Ada") as ws:
            await hears(ws, "hello, Ada")
            await ws.send("louder")
            await hears(ws, "LOUDER")


async def check_example_client():
    await says_what_became_of_its_messages("client")


async def check_example_client_without_async():
    await says_what_became_of_its_messages("client_without_async")


async def says_what_became_of_its_messages(example):
    async with Server() as server:
        out, status = await output(EXAMPLES / example, server.url)
        says(out, "confirmed; the last ping took", 'received text "hello"', "1 messages confirmed, 0 not sent")
        assert status == 0


async def check_example_chat():
    async with listening("chat") as (address, _):
        async with connect(f"ws://{address}") as ada:
            says(await ada.recv(), "is here")
            async with connect(f"ws://{address}") as bob:
                says(await ada.recv(), "is here")
                await bob.send("hello")
                says(await ada.recv(), ": hello")
            says(await ada.recv(), "has left")


async def check_example_broadcast():
    async with listening("broadcast") as (address, _):
        async with connect(f"ws://{address}") as ada, connect(f"ws://{address}") as bob:
            await arrive(ada, "ada")
            await arrive(bob, "bob")
            await hears(ada, "bob")
            await ada.send("to all")
            await hears(ada, "to all")
            await hears(bob, "to all")


async def check_example_reconnecting_feed():
    await comes_back("reconnecting_feed", lambda example: example.process.send_signal(signal.SIGINT))


async def check_example_feed_without_async():
    await comes_back("feed_without_async", lambda example: example.say("\n"))


async def comes_back(name, leave):
    came = []

    async def feed(ws):
        came.append(await ws.recv())
        if len(came) == 1:
            ws.transport.abort()
        else:
            await ws.send("news")
            await ws.wait_closed()

    async with serve(feed, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Program(EXAMPLES / name, url) as example:
            for expected in ["connecting, attempt 1", "; again in ", "connecting, attempt 2", 'received text "news"']:
                says(await example.line(), expected)
            leave(example)
            says(await example.line(), "0 messages were not sent")
            assert await example.process.wait() == 0
    assert came == ["subscribe", "subscribe"]


async def check_example_tls():
    out, status = await output(EXAMPLES / "tls")
    says(out, "hello over TLS", "closed by us: 1000")
    assert status == 0


async def check_example_authenticated():
    async with listening("authenticated") as (address, process):
        out, _ = await output("curl", "-s", "-i", f"http://{address}/health")
        says(out, "HTTP/1.1 200", "fine")
        for user, status in [("ada:lovelace", "101"), ("ada:byron", "401")]:
            out, _ = await output(
                "curl", "-s", "-i", "--max-time", "1", "-u", user, "-H", "Origin: https://chat.example.com",
                "-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13",
                "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", f"http://{address}/chat",
            )
            says(out, f"HTTP/1.1 {status}")
        url = f"ws://ada:lovelace@{address}/chat"
        async with connect(url, origin="https://chat.example.com") as ws:
            await hears(ws, "hello, ada")


async def check_example_through_proxy():
    async with Server() as server:
        out, status = await output(EXAMPLES / "through_proxy", server.url, "direct")
        says(out, "hello through the proxy", "closed by us: 1000")
        assert status == 0


async def check_example_behind_nginx():
    async with listening("behind_nginx") as (address, process):
        url = f"ws://localhost:{address.split(':')[1]}"
        async with connect(url, additional_headers={"X-Forwarded-For": "203.0.113.9"}) as ws:
            await hears(ws, "hello, 203.0.113.9 over http")
        await interrupt(process)


async def check_example_unix_socket():
    out, status = await output(EXAMPLES / "unix_socket")
    says(out, "hello over a file", "client: closed by us: 1000")
    assert status == 0


async def check_example_axum_chat():
    async with listening("axum_chat") as (address, process):
        out, _ = await output("curl", "-s", f"http://{address}/health")
        assert out == "healthy\n", out
        async with connect(f"ws://{address}/chat") as ada, connect(f"ws://{address}/chat") as bob:
            await arrive(ada, "ada")
            await arrive(bob, "bob")
            await hears(ada, "bob")
            await interrupt(process)
            await ada.wait_closed()
            assert ada.close_code == 1001


async def check_example_hyper_echo():
    async with listening("hyper_echo") as (address, process):
        out, _ = await output("curl", "-s", f"http://{address}/")
        assert out == "healthy\n", out
        async with connect(f"ws://{address}") as ws:
            await ws.send("hello")
            await hears(ws, "hello")
        await interrupt(process)


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(run(globals())) else 0)
