"""nginx as it stands in docs/deployment.md, in front of our server. Started by conformance/middle/run."""

import asyncio
import contextlib
import re
import signal
import ssl
import sys

from around import CERTIFICATE, EXAMPLES, FOLDER, HERE, KEY, TRUSTING, daemon, output, says, write
from programs import LASTWORD, PATIENCE, ROOT, Program, check, free_port, run
from websockets.asyncio.client import connect

PAGE = (ROOT / "docs/deployment.md").read_text()
SHOWN = re.search(r"```nginx\n(.*?)```", PAGE, re.DOTALL)[1]


class Nginx:
    """What the page shows, on ports and with a certificate of our own; of the rest nothing but what is `changed`."""

    def __init__(self, server, **changed):
        where = server if isinstance(server, str) else f"127.0.0.1:{server}"
        self.port, self.server, self.changed = free_port(), where, changed

    def settings(self):
        site = SHOWN
        for shown, ours in [
            ("listen 443 ssl", f"listen {self.port} ssl"),
            ("http://127.0.0.1:8765", f"http://{self.server}"),
            ("/etc/ssl/chat.example.com.crt", str(CERTIFICATE)),
            ("/etc/ssl/chat.example.com.key", str(KEY)),
            *[(f"{name} 60s", f"{name} {value}") for name, value in self.changed.items()],
        ]:
            assert site.count(shown) == 1, f"{shown!r} does not stand in the page"
            site = site.replace(shown, ours)
        scratch = "".join(
            f"{kind}_temp_path {FOLDER}/{kind};\n" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        )
        return (
            f"daemon off;\nerror_log stderr notice;\npid {FOLDER}/nginx-{self.port}.pid;\n"
            f"events {{ worker_connections 256; }}\nhttp {{\naccess_log off;\n{scratch}{site}}}\n"
        )

    async def __aenter__(self):
        self.config = write(f"nginx-{self.port}.conf", self.settings())
        self.stack = contextlib.AsyncExitStack()
        await self.stack.enter_async_context(daemon(self.port, "nginx", "-c", self.config))
        self.url = f"wss://localhost:{self.port}"
        return self

    async def __aexit__(self, *_):
        await self.stack.aclose()

    async def signal(self, name):
        out, status = await output("nginx", "-c", self.config, "-s", name)
        assert status == 0, out


class Server(Program):
    """The example that stands behind nginx."""

    def __init__(self, pings, port=None):
        self.port = port or free_port()
        super().__init__(EXAMPLES / "behind_nginx", f"127.0.0.1:{self.port}", str(pings))

    async def __aenter__(self):
        await super().__aenter__()
        says(await self.line(), "listening on")
        return self


class Client(Program):
    """`lastword connect`, past the greeting."""

    def __init__(self, url, *options):
        super().__init__(LASTWORD, "connect", url, "--report", "json", *options, env=TRUSTING)

    async def __aenter__(self):
        await super().__aenter__()
        self.greeting = (await self.event("msg"))["text"]
        return self

    async def echo(self, text):
        self.say(text + "\n")
        check(await self.event("msg"), text=text)


async def check_an_upgrade_through_tls_and_who_it_came_from():
    async with Server(20) as server, Nginx(server.port) as nginx:
        # What a client claims of itself is not believed.
        claims = ["-H", "X-Forwarded-For: 203.0.113.9", "-H", "X-Forwarded-Proto: gopher"]
        async with Client(nginx.url, *claims) as client:
            check({"text": client.greeting}, text="hello, 127.0.0.1 over https")
            says(await server.line(), "open: 127.0.0.1 over https")
            await client.echo("grüezi")
            await client.echo("x" * 1_000_000)
            client.process.stdin.close()
            check(await client.event("end"), clean=True, code=1000)
            assert await client.process.wait() == 0
        says(await server.line(), ": closed by the peer: 1000")
        # A client of others, with compression, and from another address.
        context = ssl.create_default_context(cafile=CERTIFICATE)
        url = f"wss://chat.example.com:{nginx.port}"
        async with connect(url, host=HERE, port=nginx.port, ssl=context, proxy=None) as ws:
            check({"text": await ws.recv()}, text=f"hello, {HERE} over https")
            assert any("permessage-deflate" in str(e.name) for e in ws.protocol.extensions)


async def check_what_is_no_upgrade_is_answered_too():
    async with Server(20) as server, Nginx(server.port) as nginx:
        curl = ["curl", "-s", "-i", "--max-time", "20", "--cacert", CERTIFICATE]
        out, _ = await output(*curl, f"https://localhost:{nginx.port}/health")
        says(out, "HTTP/1.1 200", "fine")
        out, _ = await output(*curl, "--http1.0", f"https://localhost:{nginx.port}/")
        says(out, "426 Upgrade Required")
        # Another site's name.
        upgrade = ["-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13",
                   "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "-H", "Host: elsewhere.example"]
        out, _ = await output(*curl, *upgrade, f"https://localhost:{nginx.port}/")
        says(out, "421 Misdirected Request")


async def check_a_unix_socket_that_nginx_may_write_to():
    """Its workers have a user of their own; connecting takes the right to write, which the umask decides."""
    for umask, expected in [("0000", 0), ("0022", 1)]:
        path = FOLDER / f"{umask}.socket"
        command = f"umask {umask} && exec {LASTWORD} serve --report json --unix {path}"
        async with Program("sh", "-c", command) as server, Nginx(f"unix:{path}") as nginx:
            check(await server.event("listening"), addr=str(path))
            out, status = await output(LASTWORD, "connect", f"{nginx.url}/feed?a=b", env=TRUSTING)
            assert status == expected, out
            if status:
                says(out, "502 Bad Gateway")


async def check_keepalive_keeps_it_open_through_the_idle_timeout():
    async with Server(0.5) as server, Nginx(server.port, proxy_read_timeout="2s") as nginx:
        async with Client(nginx.url) as client:
            await asyncio.sleep(5)
            await client.echo("still here")


async def check_without_keepalive_both_sides_are_told_of_a_cut():
    async with Server(0) as server, Nginx(server.port, proxy_read_timeout="2s") as nginx:
        async with Client(nginx.url) as client:
            end = await client.event("end")
            check(end, clean=False, code=1006, received=None, sent=None)
            check(end["cause"], kind="lost")
            assert 1.5 < end["seconds"]["ended"] < 10, end
            assert await client.process.wait() == 4
        await server.line()
        says(await server.line(), "without a close frame")


async def check_a_reload_leaves_connections_alone():
    async with Server(0.5) as server, Nginx(server.port) as nginx:
        async with Client(nginx.url) as before:
            await nginx.signal("reload")
            await asyncio.sleep(0.5)
            await before.echo("the old worker")
            async with Client(nginx.url) as after:
                await after.echo("the new worker")
                await before.echo("still the old one")


async def check_an_nginx_that_quits_waits_and_our_goodbye_passes():
    async with Server(0.5) as server, Nginx(server.port) as nginx:
        async with Client(nginx.url) as client:
            await nginx.signal("quit")
            await asyncio.sleep(0.5)
            await client.echo("a last word")
            server.process.send_signal(signal.SIGINT)
            check(await client.event("end"), clean=True, code=1001, first="peer")
            for expected in ["open: ", ": shut down: we said 1001", "1 took leave"]:
                says(await server.line(), expected)
            assert await asyncio.wait_for(server.process.wait(), PATIENCE) == 0


async def check_an_nginx_that_stops_cuts_and_both_sides_are_told():
    async with Server(0.5) as server, Nginx(server.port) as nginx:
        async with Client(nginx.url) as client:
            await nginx.signal("stop")
            end = await client.event("end")
            check(end, clean=False, code=1006)
            check(end["cause"], kind="lost")
        await server.line()
        says(await server.line(), ": peer ")


async def check_a_server_that_is_down_is_a_502_and_worth_another_try():
    port = free_port()
    async with Nginx(port) as nginx:
        out, status = await output(LASTWORD, "connect", nginx.url, env=TRUSTING)
        assert status == 1, out
        says(out, "refused the connection with 502 Bad Gateway", "nginx")
        example = EXAMPLES / "through_proxy"
        out, _ = await output(example, nginx.url, "direct", env=TRUSTING)
        says(out, "502", "worth another try: yes")
        # And when it is there, nothing has to be done about nginx.
        async with Server(20, port), Client(nginx.url) as client:
            await client.echo("back again")


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(run(globals())) else 0)
