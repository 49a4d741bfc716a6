"""The real wscat on the other side, and each line of docs/from-wscat.md: both are run against one server, and what it
saw of them is compared. Started by conformance/cli/run."""

import asyncio
import contextlib
import re
import subprocess
import sys

from beside import certificate, every_row_is_tried, folder, left_alone, noting, ours, row, server_tls, talk
from prompt import prompt
from programs import ROOT, Program, Server, check, free_port, ran, run
from websockets.datastructures import Headers
from websockets.http11 import Response

# Any but the terminal's own, to which wscat returns where it has not been away.
COLOUR = re.compile(r"\x1b\[(1|2|3[0-8]|9[0-7])m")
WSCAT = ROOT / "conformance/cli/node/node_modules/.bin/wscat"


def theirs(*arguments):
    return [WSCAT, *arguments]


async def both_saw(*commands, env=None, **options):
    """Runs each until it has heard what it said; who came."""
    async with noting(**options) as notes:
        for command in commands:
            # Both stay until their input ends.
            lines, _ = await talk(*command(notes.url), env=env)
            assert lines == ["a"], lines
        await notes.when(lambda notes: all(guest.code for guest in notes.guests))
        assert [guest.messages for guest in notes.guests] == [["a"]] * len(commands), notes.guests
        return notes.guests


@row("`wscat -c ws://host/`", "`--slash`")
async def check_a_person_at_the_prompt():
    async with Server() as server:
        short = server.url.removeprefix("ws://")
        for command in [theirs("--slash", "-c", short), ours("connect", server.url), ours("connect", short)]:
            async with prompt(*command) as person:
                await person.sees("Connected", "> ")
                person.types("grüezi\r")
                check(await server.event("msg"), kind="text", text="grüezi")
                await person.sees("< grüezi")
                person.types("/ping\r")
                person.types("/pong\r")
                person.types("/close 4000 so long\r")
                check(await server.event("end"), clean=True, code=4000, reason="so long", msgs=1)
                await person.sees("4000", '"so long"')
                await person.process.wait()


@row("`wscat -l 8765`")
async def check_servers():
    port = free_port()
    async with prompt(*theirs("-l", port)) as person:
        await person.sees(f"Listening on port {port}")
        async with Program(*ours("connect", f"ws://127.0.0.1:{port}", "--report", "json")) as client:
            check(await client.event("open"), compression=False)
            await person.sees("Client connected")
            client.say("from ours\n")
            await person.sees("< from ours")
            person.types("from theirs\r")
            check(await client.event("msg"), kind="text", text="from theirs")
            client.process.stdin.close()
            end = await client.event("end")
            check(end, clean=True, code=1000, first="us")
            check(end["ledger"]["confirmed"], messages=1)
            await person.sees('Disconnected (code: 1000, reason: "")')
    async with Program(*ours("serve", "--port", "0")) as server:
        url = (await server.line()).split()[2]
        done = await ran(*theirs("-c", url, "-x", "hi", "-w", "0.2"), say="")
        # Its input has ended, and so has it.
        assert done.out == "", done
        lines, _ = await talk(*theirs("-c", url, "-x", "hi", "-w", "0.2"))
        assert lines == ["hi"], lines
        while "closed by the peer" not in await server.line():
            pass


@row("`-x TEXT`, `--execute TEXT`", "`-w SECONDS`, `--wait SECONDS`")
async def check_one_shot():
    async with Server() as server:
        for command in [
            theirs("-c", server.url, "-x", "one", "-x", "two", "-w", "0.2"),
            ours("connect", server.url, "-m", "one", "-m", "two", "-n", "2"),
            ours("connect", server.url, "-m", "one", "-m", "two", "--wait", "0.2"),
        ]:
            lines, status = await talk(*command, hear=2)
            assert (lines, status) == (["one", "two"], 0), (lines, status)
            check(await server.event("end"), clean=True, msgs=2)
    async with noting() as notes:
        for command in [theirs("-c", notes.url, "-x", "hi", "-w", "-1"), ours("connect", notes.url, "-m", "hi", "--listen")]:
            async with Program(*command) as program:
                assert await program.line() == "hi"
                # Longer than either would wait otherwise.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(program.process.wait(), 2.5)
                await notes.guests[-1].ws.send("later")
                assert await program.line() == "later"


@row("`-H 'Name: value'`", "`-o ORIGIN`, `-s PROTOCOL`")
async def check_headers():
    one, other = await both_saw(
        lambda url: theirs("-c", url, "-x", "a", "-w", "0.1", "-H", "X-Key: 1", "-H", "X-Other: a: b", "-o",
                           "https://a.example", "-s", "chat"),
        lambda url: ours("connect", url, "-m", "a", "-H", "X-Key: 1", "-H", "X-Other: a: b", "--origin",
                         "https://a.example", "-s", "chat"),
        subprotocols=["chat"],
    )
    names = ["X-Key", "X-Other", "Origin", "Sec-WebSocket-Protocol", "Host"]
    assert one.has(*names) == other.has(*names), (one.headers, other.headers)
    assert other.has(*names[:3]) == {"X-Key": ["1"], "X-Other": ["a: b"], "Origin": ["https://a.example"]}, other.headers


@row("`--auth user:pass`")
async def check_basic_credentials():
    with folder() as root:
        password = root / "password"
        password.write_text("open: sesame\n")
        guests = await both_saw(
            lambda url: theirs("-c", url, "-x", "a", "-w", "0.1", "--auth", "ali:open: sesame"),
            lambda url: ours("connect", url, "-m", "a", "--user", "ali", "--password-file", password),
            lambda url: ours("connect", url, "-m", "a", "--user", "ali"),
            env={"LASTWORD_PASSWORD": "open: sesame"},
        )
        assert len({guest.headers["Authorization"] for guest in guests}) == 1, guests
        async with Server("--user", "ali", "--password-file", password) as server:
            lines, _ = await talk(*theirs("-c", server.url, "-x", "a", "-w", "0.1", "--auth", "ali:open: sesame"))
            assert lines == ["a"], lines
            check(await server.event("end"), opened=True)
            assert await left_alone(*theirs("-c", server.url, "-x", "a")) != 0
            check(await server.event("end"), opened=False)


@row("`--host HOST`")
async def check_another_name():
    one, other = await both_saw(
        lambda url: theirs("-c", url, "--host", "chat.example", "-x", "a", "-w", "0.1"),
        lambda url: ours("connect", url, "-H", "Host: chat.example", "-m", "a"),
    )
    assert one.has("Host") == other.has("Host") == {"Host": ["chat.example"]}, (one.headers, other.headers)


class Tunnel:
    """A proxy that tunnels to one place, whatever it is asked for."""

    def __init__(self, to):
        self.to = int(to.rsplit(":", 1)[1])
        self.asked = []

    async def serve(self, reader, writer):
        self.asked.append((await reader.readline()).decode().strip())
        while (await reader.readline()).strip():
            pass
        there, back = await asyncio.open_connection("localhost", self.to)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(self.copy(reader, back), self.copy(there, writer))

    async def copy(self, reader, writer):
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(1 << 16):
                writer.write(chunk)
        writer.close()


@contextlib.asynccontextmanager
async def tunnel(to):
    way = Tunnel(to)
    async with await asyncio.start_server(way.serve, "127.0.0.1", 0) as server:
        way.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield way


@row("`--proxy URL`")
async def check_through_a_proxy():
    async with noting() as notes, tunnel(to=notes.url) as way:
        place = notes.url.removeprefix("ws://")
        for command in [
            theirs("-c", notes.url, "--proxy", way.url, "-x", "a", "-w", "0.1"),
            ours("connect", notes.url, "--proxy", way.url, "-m", "a"),
        ]:
            lines, status = await talk(*command)
            assert (lines, status) == (["a"], 0), (lines, status)
        assert way.asked == [f"CONNECT {place} HTTP/1.1"] * 2, way.asked


@row("`--ca FILE`, `--cert FILE --key FILE`", "`--passphrase TEXT`", "`-n`, `--no-check`")
async def check_certificates():
    with folder() as root:
        cert, key = certificate(root)
        locked, plain = root / "locked.pem", root / "plain.pem"
        subprocess.run(["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked], check=True)
        subprocess.run(["openssl", "pkey", "-in", locked, "-passin", "pass:x", "-out", plain], check=True)
        guests = await both_saw(
            lambda url: theirs("-c", url, "-x", "a", "-w", "0.1", "--ca", cert, "--cert", cert, "--key", key),
            lambda url: theirs("-c", url, "-x", "a", "-w", "0.1", "--ca", cert, "--cert", cert, "--key", locked,
                               "--passphrase", "x"),
            lambda url: ours("connect", url, "-m", "a", "--ca", cert, "--cert", cert, "--key", key),
            lambda url: ours("connect", url, "-m", "a", "--ca", cert, "--cert", cert, "--key", plain),
            lambda url: theirs("-c", url, "-x", "a", "-w", "0.1", "-n", "--cert", cert, "--key", key),
            lambda url: ours("connect", url, "-m", "a", "-k", "--cert", cert, "--key", key),
            ssl=server_tls(cert, key, asks=True),
        )
        for guest in guests:
            assert guest.ws.transport.get_extra_info("peercert") is not None
        async with noting(ssl=server_tls(cert, key, asks=True)) as notes:
            for command in [
                theirs("-c", notes.url, "-x", "a"),
                ours("connect", notes.url, "-m", "a"),
                ours("connect", notes.url, "-m", "a", "--ca", cert, "--cert", cert, "--key", locked),
            ]:
                assert await left_alone(*command) != 0, command
            done = await ran(*ours("connect", notes.url, "-m", "a", "--ca", cert))
            assert "--cert FILE --key FILE" in done.err, done
            assert not notes.guests
    async with Server("--tls") as server:
        url = server.url.replace("ws:", "wss:")
        lines, _ = await talk(*theirs("-n", "-c", url, "-x", "in secret", "-w", "0.1"))
        assert lines == ["in secret"], lines


@row("`-P`, `--show-ping-pong`")
async def check_pings_are_shown():
    async def ping(ws, message):
        await (await ws.ping("are you there"))
        await ws.send(message)

    async with noting(ping) as notes:
        lines, _ = await talk(*theirs("-P", "-c", notes.url, "-x", "a", "-w", "0.1"), hear=2)
        assert lines == ['Received ping (data: "are you there")', "a"], lines
        done = await ran(*ours("connect", "-vv", notes.url, "-m", "a", "-n", "1"))
        assert '< Ping "are you there"' in done.err or "< Ping 61 72 65" in done.err, done


@row("`-L`, `--location`", "`--max-redirects N`")
async def check_redirects():
    async with noting() as there:
        def elsewhere(_, request):
            hops = int(request.path.strip("/") or 0)
            to = f"/{hops - 1}" if hops > 1 else there.url + "/end"
            return Response(302, "Found", Headers({"Location": to, "Content-Length": "0"}))

        async with noting(process_request=elsewhere) as here:
            for command, arrives in [
                (theirs("-L", "-c", f"{here.url}/3", "-x", "a", "-w", "0.1"), True),
                (ours("connect", f"{here.url}/3", "-m", "a"), True),
                (theirs("-c", f"{here.url}/3", "-x", "a", "-w", "0.1"), False),
                (ours("connect", f"{here.url}/3", "-m", "a", "--max-redirects", "0"), False),
                (theirs("-L", "--max-redirects", "2", "-c", f"{here.url}/3", "-x", "a", "-w", "0.1"), False),
                (ours("connect", f"{here.url}/3", "-m", "a", "--max-redirects", "2"), False),
                (ours("connect", f"{here.url}/11", "-m", "a"), False),
            ]:
                there.guests.clear()
                if arrives:
                    assert await talk(*command) == (["a"], 0), command
                    assert [guest.path for guest in there.guests] == ["/end"], command
                else:
                    assert await left_alone(*command) != 0 and not there.guests, command


@row("`--no-color`")
async def check_without_colours():
    async with Server() as server:
        for command, env, colours in [
            (theirs("-c", server.url), {}, True),
            (theirs("--no-color", "-c", server.url), {}, False),
            (ours("connect", server.url), {"NO_COLOR": ""}, True),
            (ours("connect", server.url), {"NO_COLOR": "1"}, False),
            (ours("connect", server.url, "--color", "never"), {"NO_COLOR": ""}, False),
        ]:
            async with prompt(*command, env=env) as person:
                await person.sees("Connected", "> ")
                person.types("grüezi\r")
                await person.sees("< grüezi")
                assert bool(COLOUR.search(person.raw)) == colours, (command, person.raw)


async def check_every_row_of_the_page_is_tried():
    every_row_is_tried("docs/from-wscat.md")


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(run(globals())) else 0)
