"""websockets, as its documentation shows it. `PORT MODE`."""

import asyncio
import signal
import sys

from websockets.asyncio.server import broadcast, serve

PORT, MODE = int(sys.argv[1]), sys.argv[2]
CONNECTIONS = set()


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def publish(websocket):
    CONNECTIONS.add(websocket)
    try:
        async for message in websocket:
            broadcast(CONNECTIONS, message)
    finally:
        CONNECTIONS.remove(websocket)


async def main():
    handler = publish if MODE == "broadcast" else echo
    compression = "deflate" if MODE == "deflate" else None
    async with serve(handler, "127.0.0.1", PORT, compression=compression, max_size=257 << 20, backlog=1024):
        stop = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
        await stop


asyncio.run(main())
