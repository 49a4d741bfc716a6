"""picows, as its documentation shows it, on uvloop if that is there. It hands out frames; messages in
fragments are not its concern. `PORT MODE`."""

import asyncio
import sys

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

PORT, MODE = int(sys.argv[1]), sys.argv[2]
CONNECTIONS = set()


class Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame):
        if frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY):
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()


class Publish(Echo):
    def on_ws_connected(self, transport: WSTransport):
        self.transport = transport
        CONNECTIONS.add(transport)

    def on_ws_disconnected(self, transport: WSTransport):
        CONNECTIONS.discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame):
        if frame.msg_type == WSMsgType.BINARY:
            payload = frame.get_payload_as_bytes()
            for connection in CONNECTIONS:
                connection.send(WSMsgType.BINARY, payload)
        else:
            super().on_ws_frame(transport, frame)


async def main():
    listener = Publish if MODE == "broadcast" else Echo
    server = await ws_create_server(
        lambda _request: listener(), "127.0.0.1", PORT, max_frame_size=257 << 20, backlog=1024
    )
    await server.serve_forever()


try:
    import uvloop

    uvloop.run(main())
except ImportError:
    asyncio.run(main())
