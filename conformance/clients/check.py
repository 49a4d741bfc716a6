"""Real programs on the other side of lastword, both ways: what they saw is held against what we say.

Started by conformance/clients/run. Each function whose name begins with `check_` is one check."""

import asyncio
import pathlib
import signal
import subprocess
import sys

import websockets
from checksum import ClientChecksum, ServerChecksum
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from programs import LASTWORD, PATIENCE, ROOT, Program, Server, check, run

CHECKSUM = ROOT / "target/debug/examples/checksum"
NODE = ROOT / "conformance/clients/node"
PEER = ROOT / ".cache/clients/tungstenite/release/tungstenite-peer"


async def check_websockets_client():
    async with Server() as server:
        async with connect(server.url) as ws:
            assert any("permessage-deflate" in str(e.name) for e in ws.protocol.extensions)
            for message in ["grüezi", b"\0\xff", "", "", "x" * (1 << 20), "{}" * 1000]:
                await ws.send(message)
                assert await ws.recv() == message
            await ws.send(["in ", "three ", "parts"])
            assert await ws.recv() == "in three parts"
            assert (await (await ws.ping())) >= 0
            await ws.close(4000, "python")
            check({"code": ws.close_code, "reason": ws.close_reason}, code=4000, reason="python")
        check(await server.event("end"), clean=True, code=4000, reason="python", msgs=7, first="peer")


async def check_websockets_client_with_an_extension_of_its_own():
    deflate = "permessage-deflate; server_max_window_bits=12"
    async with Program(CHECKSUM) as server:
        url = await server.line()
        for numbered, compression in [(True, "deflate"), (True, None), (False, "deflate"), (False, None)]:
            named = "x-checksum; numbered" if numbered else "x-checksum"
            agreed = f"{named}, {deflate}" if compression else named
            async with connect(url, extensions=[ClientChecksum(numbered)], compression=compression) as ws:
                assert (await server.line()).startswith(f"agreed on {agreed}")
                for message in ["grüezi", b"\0\xff", "", "x" * 100_000, "{}" * 1000]:
                    await ws.send(message)
                    assert await ws.recv() == message
            assert (await server.line()).startswith("closed by the peer: 1000")


async def check_websockets_server_with_an_extension_of_its_own():
    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    for compression in ["deflate", None]:
        extensions = [ServerChecksum()]
        async with serve(echo, "127.0.0.1", 0, extensions=extensions, compression=compression) as server:
            port = server.sockets[0].getsockname()[1]
            async with Program(CHECKSUM, f"ws://127.0.0.1:{port}") as ours:
                agreed = await ours.line()
                assert agreed.startswith("agreed on x-checksum; numbered"), agreed
                assert ("permessage-deflate" in agreed) == bool(compression), agreed
                for size in [5, 7, 0, 23_000]:
                    assert await ours.line() == f"{size} bytes came back as they went"
                assert (await ours.line()).startswith("closed by us: 1000")
                assert await ours.process.wait() == 0


async def check_websockets_client_that_vanishes():
    async with Server() as server:
        ws = await connect(server.url)
        await ws.send("hello")
        await ws.recv()
        ws.transport.abort()
        end = await server.event("end")
        check(end, clean=False, code=1006, opened=True, msgs=1)
        assert end["cause"]["kind"] == "lost", end


async def check_shutdown_reaches_websockets_client():
    async with Server() as server:
        async with connect(server.url) as ws:
            await ws.send("hello")
            await ws.recv()
            server.process.send_signal(signal.SIGTERM)
            await ws.wait_closed()
            check({"code": ws.close_code}, code=1001)
        check(await server.event("end"), clean=True, code=1001)
        assert await asyncio.wait_for(server.process.wait(), PATIENCE) == 0


async def check_websockets_server():
    closed = asyncio.get_running_loop().create_future()

    async def echo(ws):
        async for message in ws:
            await ws.send(message)
        closed.set_result((ws.close_code, ws.close_reason))

    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Program(LASTWORD, "connect", f"ws://127.0.0.1:{port}", "--report", "json") as ours:
            assert (await ours.event("open"))["compression"]
            for text in ["hello", "grüezi", "x" * 100_000]:
                ours.say(text + "\n")
                check(await ours.event("msg"), kind="text", text=text)
            ours.process.stdin.close()
            end = await ours.event("end")
            check(end, clean=True, code=1000, msgs=3, first="us")
            assert end["ledger"]["confirmed"]["messages"] == 3
            assert await ours.process.wait() == 0
        assert await asyncio.wait_for(closed, PATIENCE) == (1000, "")


async def check_websockets_server_that_closes_and_one_that_vanishes():
    async def leave(ws):
        if ws.request.path == "/abort":
            ws.transport.abort()
        else:
            await ws.close(4010, "no more")

    async with serve(leave, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for path, code, status in [("/close", 4010, 3), ("/abort", 1006, 4)]:
            url = f"ws://127.0.0.1:{port}{path}"
            async with Program(LASTWORD, "connect", url, "--report", "json") as ours:
                check(await ours.event("end"), code=code, clean=path == "/close")
                assert await ours.process.wait() == status


async def check_websockets_server_that_refuses():
    def refuse(ws, _):
        return ws.respond(403, "members only\n")

    async with serve(lambda _: None, "127.0.0.1", 0, process_request=refuse) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"ws://127.0.0.1:{port}"
        async with Program(LASTWORD, "connect", url, "--report", "json") as ours:
            end = await ours.event("end")
            check(end, opened=False, clean=False, code=None)
            assert "403" in end["error"], end
            assert await ours.process.wait() == 1


async def check_pipe():
    async with Server() as server:
        command = [LASTWORD, "connect", server.url]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        out, _ = await asyncio.wait_for(process.communicate(b"hi\nyou\n"), PATIENCE)
        assert (out, process.returncode) == (b"hi\nyou\n", 0), out


async def check_npm_ws_client():
    async with Server() as server, Program("node", NODE / "ws-client.mjs", server.url) as theirs:
        seen = await theirs.json()
        check(seen, messages=["grüezi", [0, 255, 1], "", "", True], pong=True, code=4001)
        check(seen, reason="from ws")
        assert "permessage-deflate" in seen["extensions"]
        check(await server.event("end"), clean=True, code=4001, reason="from ws", msgs=5)


async def check_npm_ws_server():
    for word, code in [(None, 1000), ("close me", 4002)]:
        async with Program("node", NODE / "ws-server.mjs") as theirs:
            url = f"ws://127.0.0.1:{(await theirs.json())['port']}"
            async with Program(LASTWORD, "connect", url, "--report", "json") as ours:
                assert (await ours.event("open"))["compression"]
                for text in ["hello", "x" * 100_000]:
                    ours.say(text + "\n")
                    check(await ours.event("msg"), text=text)
                if word:
                    ours.say(word + "\n")
                else:
                    ours.process.stdin.close()
                check(await ours.event("end"), clean=True, code=code)
            check(await theirs.json(), code=code)


async def check_tungstenite_client():
    async with Server() as server, Program(PEER, "connect", server.url) as theirs:
        check(await theirs.json(), same=3, close="4003 rust")
        check(await server.event("end"), clean=True, code=4003, reason="rust", msgs=3)


async def check_tungstenite_server():
    async with Program(PEER, "serve") as theirs:
        url = f"ws://127.0.0.1:{(await theirs.json())['port']}"
        async with Program(LASTWORD, "connect", url, "--report", "json") as ours:
            ours.say("hello\n")
            check(await ours.event("msg"), text="hello")
            ours.process.stdin.close()
            check(await ours.event("end"), clean=True, code=1000)
        check(await theirs.json(), close="1000 ")


async def check_chromium():
    messages = ["grüezi", [0, 255, 1], '{"compress":"me"}' * 100, True, ""]
    for mode, code, reason in [("close", 3001, "bye"), ("empty", 1005, "")]:
        async with Server() as server, Program("node", NODE / "browser.mjs", server.url, mode) as page:
            seen = await page.json()
            check(seen, messages=messages, code=code, reason=reason, wasClean=True)
            assert "permessage-deflate" in seen["extensions"]
            check(await server.event("end"), clean=True, code=code, reason=reason, msgs=5)


async def check_chromium_hears_of_a_shutdown():
    async with Server() as server, Program("node", NODE / "browser.mjs", server.url, "wait") as page:
        assert await page.line() == "ready"
        server.process.send_signal(signal.SIGTERM)
        check(await page.json(), code=1001, reason="server is shutting down", wasClean=True)
        check(await server.event("end"), clean=True, code=1001)


async def curl(*args):
    process = await asyncio.create_subprocess_exec(
        "curl", "-s", "-i", "--max-time", "20", *args, stdout=subprocess.PIPE
    )
    out, _ = await process.communicate()
    return out.decode()


async def check_curl():
    upgrade = ["-H", "Upgrade: websocket", "-H", "Connection: Upgrade"]
    key = ["-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    async with Server() as server:
        url = server.url.replace("ws:", "http:")
        cases = [
            # Browsers get a page to try the server from.
            ([url], "200", "content-security-policy: default-src 'none'"),
            (["-I", url], "200", "content-type: text/html"),
            ([url + "/nothing"], "404", ""),
            (["-d", "x", url], "405", "allow: get"),
            ([*upgrade, *key, "-H", "Sec-WebSocket-Version: 8", url], "426", "sec-websocket-version: 13"),
            ([*upgrade, "-H", "Sec-WebSocket-Version: 13", url], "400", ""),
        ]
        for args, status, header in cases:
            answer = await curl(*args)
            assert answer.startswith(f"HTTP/1.1 {status} "), answer
            assert header in answer.lower(), answer
            if "Upgrade: websocket" in args:
                check(await server.event("end"), opened=False)
            else:
                check(await server.event("http"), status=int(status))


if __name__ == "__main__":
    assert websockets.__version__ == "17.4", websockets.__version__
    sys.exit(1 if asyncio.run(run(globals())) else 0)
