"""`lastword check` against servers of others: what it finds about each is known, and stands in docs/cli/check.md.

Started by conformance/clients/run."""

import asyncio
import contextlib
import json
import logging
import pathlib

from websockets.asyncio.server import serve

ROOT = pathlib.Path(__file__).resolve().parents[2]
LASTWORD = ROOT / "target/release/lastword"
NODE = ROOT / "conformance/clients/node"

# What is against a rule, or a cause of trouble; notes are not counted.
EXPECTED = {
    "websockets": {
        "opening/version",
        "opening/host",
        "opening/space-before-colon",
        "frame/length",
    },
    "ws": {
        "opening/request-line",
        "opening/host",
        "opening/not-offered",
        "frame/length",
        "limit/opening",
    },
}


async def findings(url):
    """The probes that found something, with what they say."""
    process = await asyncio.create_subprocess_exec(
        LASTWORD, "check", url, "--json", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    probes = [json.loads(line) for line in out.decode().splitlines()]
    probes = [probe for probe in probes if probe["ev"] == "probe"]
    assert len(probes) > 50, probes
    return {p["id"]: p["said"] for p in probes if p["mark"] in ("warning", "error")}


@contextlib.asynccontextmanager
async def websockets_server():
    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    # Its log tells of each broken rule, which is what happens here.
    logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
    async with serve(echo, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def ws_server():
    process = await asyncio.create_subprocess_exec(
        "node", NODE / "ws-echo.mjs", stdout=asyncio.subprocess.PIPE
    )
    try:
        yield json.loads(await process.stdout.readline())["port"]
    finally:
        process.kill()
        await process.wait()


async def main():
    for name, server in {"websockets": websockets_server, "ws": ws_server}.items():
        async with server() as port:
            found = await findings(f"ws://127.0.0.1:{port}")
        assert found.keys() == EXPECTED[name], f"{name}: {found}"
        print(f"ok check against {name}: {', '.join(sorted(found))}")


asyncio.run(main())
