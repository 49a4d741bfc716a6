"""What a server's process holds for each idle connection over TLS. As the load's mode `memory`, by the
standard library: nothing is timed here, so it need not be cheap. Prints one line of JSON.
"""

import argparse
import json
import re
import socket
import ssl
import time
from pathlib import Path

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--server", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--settle", type=float, default=0.5)
    args, _ = parser.parse_known_args()
    wait_until_listening(args.port)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opened(context, args.port).close()
    time.sleep(args.settle)
    before = private_bytes(args.server)
    connections = [opened(context, args.port) for _ in range(args.connections)]
    time.sleep(args.settle)
    each = (private_bytes(args.server) - before) // len(connections)
    print(json.dumps({"process": before, "idle": [[len(connections), each]]}))


def wait_until_listening(port: int) -> None:
    patience = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > patience:
                raise
            time.sleep(0.01)


def opened(context: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    stream = context.wrap_socket(socket.create_connection(("127.0.0.1", port)))
    stream.sendall(REQUEST)
    response = b""
    while not response.endswith(b"\r\n\r\n"):
        piece = stream.recv(4096)
        if not piece:
            raise SystemExit("the server ended while it opened")
        response += piece
    if not response.startswith(b"HTTP/1.1 101"):
        raise SystemExit(f"no 101: {response!r}")
    return stream


def private_bytes(process: int) -> int:
    table = Path(f"/proc/{process}/smaps_rollup").read_text()
    return 1024 * sum(int(size) for size in re.findall(r"^Private_\w+:\s*(\d+)", table, re.MULTILINE))


if __name__ == "__main__":
    main()
