"""The real websocat on the other side, and each line of docs/from-websocat.md: both are run against one server, and what
it saw of them is compared. Started by conformance/cli/run."""

import asyncio
import base64
import contextlib
import json
import subprocess
import sys

from beside import (
    certificate, echo, every_row_is_tried, folder, nothing, noting, ours, row, server_tls, stripped, talk,
)
from prompt import prompt
from programs import ROOT, Program, Server, check, free_port, listens, ran, run
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

WEBSOCAT = ROOT / ".cache/cli/tools/bin/websocat"


def theirs(*arguments):
    return [WEBSOCAT, *arguments]


@contextlib.asynccontextmanager
async def serving(*arguments):
    """websocat as a server on a port of its own; `{}` among its arguments stands for where that is."""
    place = f"127.0.0.1:{free_port()}"
    command = theirs("-q", "--stdout-announce-listening-ports", *arguments)
    async with Program(*[str(part).replace("{}", place) for part in command]) as program:
        assert (await program.line()).startswith("LISTEN"), command
        program.url = f"ws://{place}"
        yield program


async def both_saw(*commands, say="a\n", answer=echo, env=None, **options):
    """Runs each to its end, one after the other; who came."""
    async with noting(answer, **options) as notes:
        for command in commands:
            done = await ran(*command(notes.url), say=say, env=env)
            assert done.status == 0, (command(notes.url), done)
        await notes.when(lambda notes: all(guest.code for guest in notes.guests))
        assert len(notes.guests) == len(commands), notes.guests
        return notes.guests


@row("`websocat ws://host/`")
async def check_lines_are_messages():
    async with Server() as server:
        for command, code in [(theirs("--linemode-strip-newlines", server.url), 1005), (ours("connect", server.url), 1000)]:
            async with Program(*command) as program:
                # One at a time: of lines that come together websocat sends the first, and the rest as an empty one.
                for line in ["grüezi", "two words"]:
                    program.say(line + "\n")
                    check(await server.event("msg"), kind="text", text=line)
                    assert await program.line() == line
                program.process.stdin.close()
                check(await server.event("end"), clean=True, first="peer", code=code)
                assert await program.process.wait() == 0
    # The end of a line is a part of its message there.
    with_end, without = await both_saw(lambda url: theirs(url), lambda url: ours("connect", url))
    assert (with_end.messages, without.messages) == (["a\n"], ["a"])


@row("`-t`, `--text`")
async def check_text():
    one, other = await both_saw(
        lambda url: theirs("-t", url), lambda url: ours("connect", url, "--content", "text"), say="a\nb\n"
    )
    assert stripped(one.messages) == other.messages == ["a", "b"]


@row("`-b`, `--binary`")
async def check_binary():
    one, other = await both_saw(
        lambda url: theirs("-b", url), lambda url: ours("connect", url, "-b", "--framing", "whole"), say="a\nb\n"
    )
    assert one.messages == other.messages == [b"a\nb\n"]


@row("`-0`, `--null-terminated`")
async def check_zero_bytes_end_messages():
    one, other = await both_saw(
        lambda url: theirs("-0", url), lambda url: ours("connect", url, "-0"), say="a\nb\0"
    )
    assert [one.messages[0].rstrip("\0")] == other.messages == ["a\nb"]


@row("`-1`, `--one-message`")
async def check_one_message():
    async with Server() as server:
        for command in [theirs("-1", server.url), ours("connect", server.url, "-m", "hi", "-n", "1")]:
            done = await ran(*command, say="hi\nmore\n")
            assert (done.out, done.status) == ("hi\n", 0), done
            check(await server.event("end"), clean=True, msgs=1)


@row("`--max-messages-rev N`")
async def check_so_many_messages():
    async def many(ws, _):
        for number in range(5):
            await ws.send(f"{number}\n" if ws.request.path == "/theirs" else str(number))

    async with noting(many) as notes:
        for command in [
            theirs("-n", "--max-messages-rev", "3", notes.url + "/theirs"),
            ours("connect", notes.url, "-n", "3"),
        ]:
            lines, status = await talk(*command, say=["go"], hear=3)
            assert (lines, status) == (["0", "1", "2"], 0), (lines, status)
    async with noting(nothing) as notes:
        done = await ran(*ours("connect", notes.url, "-n", "3", "--timeout", "1"), say="go\n")
        assert done.status == 6, done


@row("`-n`, `--no-close`")
async def check_the_end_of_the_input_is_no_end():
    async with noting(nothing) as notes:
        for at, command in enumerate([theirs("-n", notes.url), ours("connect", notes.url, "--listen")]):
            async with Program(*command) as program:
                program.say("hi\n")
                program.process.stdin.close()
                await notes.when(lambda notes, at=at: len(notes.guests) > at and notes.guests[at].messages)
                # Longer than either would wait if it were to close.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(program.process.wait(), 1)
                await notes.guests[at].ws.send("later\n" if at == 0 else "later")
                assert await program.line() == "later"


@row("`-E`, `--exit-on-eof`")
async def check_the_end_of_the_input_is_an_end():
    one, other = await both_saw(lambda url: theirs("-E", url), lambda url: ours("connect", url), answer=nothing)
    assert stripped(one.messages) == other.messages == ["a"]
    assert (one.code, other.code) == (1005, 1000)


@row("`-u`, `--unidirectional`")
async def check_what_comes_is_not_shown():
    async with Server() as server:
        done = await ran(*theirs("-u", server.url), say="a\n")
        assert (done.out, done.status) == ("", 0), done
        check(await server.event("msg"), text="a\n")
        shell = f"exec {ours()[0]} connect {server.url} >/dev/null"
        done = await ran("sh", "-c", shell, say="a\n")
        assert (done.out, done.status) == ("", 0), done
        check(await server.event("msg"), text="a")


@row("`-U`, `--unidirectional-reverse`")
async def check_nothing_is_sent():
    async def greet(ws):
        await ws.send("hello")
        await ws.wait_closed()

    async with serve(greet, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for command in [theirs("-U", url), ["sh", "-c", f"exec {ours()[0]} connect {url} --listen </dev/null"]]:
            async with Program(*command) as program:
                assert await program.line() == "hello"


@row("`-B SIZE`, `--buffer-size SIZE`")
async def check_long_lines():
    line = "x" * 200_000
    async with noting(nothing) as notes:
        for command in [theirs("-B", "300000", notes.url), ours("connect", notes.url, "--framing", "lines")]:
            assert (await ran(*command, say=line + "\n")).status == 0
        assert [stripped(guest.messages) for guest in notes.guests] == [[line], [line]]


@row("`--max-ws-message-length SIZE`")
async def check_too_large():
    async def large(ws, _):
        await ws.send("x" * 5000)

    async with noting(large) as notes:
        # websocat takes the limit for all frames but the last, and so lets this one through.
        lines, _ = await talk(*theirs("-n", "--max-ws-frame-length", "1000", notes.url), say=["go"], hear=0)
        assert lines == [], lines
        done = await ran(*ours("connect", notes.url, "--max-message-size", "1000"), say="go\n")
        assert done.status == 5 and "max_message_size" in done.err and done.out == "", done
        await notes.when(lambda notes: notes.guests[1].code == 1009)


@row("`--base64`")
async def check_bytes_as_base64():
    async def some(ws, _):
        await ws.send(b"\0\xff\n")

    expected = base64.b64encode(b"\0\xff\n").decode()
    async with noting(some) as notes:
        lines, _ = await talk(*theirs("--base64", notes.url), say=["go"])
        assert lines == [expected], lines
        lines, _ = await talk(*ours("connect", notes.url, "--json"), say=['{"text": "go"}'])
        assert [json.loads(line) for line in lines] == [{"binary": expected}], lines
        lines, _ = await talk(*ours("connect", notes.url, "--json"), say=[lines[0]])
        assert notes.guests[2].messages == [b"\0\xff\n"]


@row("`-H 'Name: value'`", "`--ua NAME`", "`--origin URL`, `--protocol NAME`")
async def check_headers():
    one, other = await both_saw(
        lambda url: theirs(url, "-H=X-Key: 1", "-H=X-Other: a: b", "--ua", "me/1", "--origin", "https://a.example",
                           "--protocol", "chat"),
        lambda url: ours("connect", url, "-H", "X-Key: 1", "-H", "X-Other: a: b", "-H", "User-Agent: me/1", "--origin",
                         "https://a.example", "--subprotocol", "chat"),
        subprotocols=["chat"],
    )
    names = ["X-Key", "X-Other", "User-Agent", "Origin", "Sec-WebSocket-Protocol", "Host"]
    assert one.has(*names) == other.has(*names), (one.headers, other.headers)
    assert one.has(*names[:3]) == {"X-Key": ["1"], "X-Other": ["a: b"], "User-Agent": ["me/1"]}, one.headers


@row("`--basic-auth USER:PASS`, `--basic-auth-file FILE`")
async def check_basic_credentials():
    with folder() as root:
        both, password = root / "both", root / "password"
        both.write_text("ali:open sesame")
        password.write_text("open sesame\n")
        guests = await both_saw(
            lambda url: theirs("--basic-auth", "ali:open sesame", url),
            lambda url: theirs("--basic-auth-file", both, url),
            lambda url: ours("connect", url, "--user", "ali", "--password-file", password),
            lambda url: ours("connect", url, "--user", "ali"),
            env={"LASTWORD_PASSWORD": "open sesame"},
        )
    assert len({guest.headers["Authorization"] for guest in guests}) == 1, guests
    # And with a server of ours that asks for them.
    with folder() as root:
        password = root / "password"
        password.write_text("open sesame\n")
        async with Server("--user", "ali", "--password-file", password) as server:
            lines, _ = await talk(*theirs("--basic-auth", "ali:open sesame", server.url), say=["let in"])
            assert lines == ["let in"], lines
            done = await ran(*theirs("--basic-auth", "ali:wrong", server.url), say="x\n")
            assert done.status == 1 and "401" in done.err, done


@row("`-k`, `--insecure`")
async def check_any_certificate():
    with folder() as root:
        tls = server_tls(*certificate(root))
        one, other = await both_saw(
            lambda url: theirs("-k", url), lambda url: ours("connect", url, "-k"), ssl=tls
        )
        assert stripped(one.messages) == other.messages == ["a"]
        async with noting(ssl=tls) as notes:
            for command in [theirs(notes.url), ours("connect", notes.url)]:
                done = await ran(*command, say="a\n")
                assert done.status == 1 and "certificate" in done.err.lower(), done
            assert not notes.guests
    # And a server of ours, with a certificate that it made for itself.
    async with Server("--tls") as server:
        url = server.url.replace("ws:", "wss:")
        lines, _ = await talk(*theirs("-k", url), say=["in secret"])
        assert lines == ["in secret"], lines


@row("`websocat - ws-c:unix:PATH --ws-c-uri ws://host/`")
async def check_over_a_unix_socket():
    with folder() as root:
        path = root / "socket"
        async with noting(unix=path) as notes:
            await talk(*theirs("-", f"ws-c:unix:{path}", "--ws-c-uri", "ws://host/a"), say=["hi"])
            await talk(*ours("connect", "ws://host/a", "--unix", path), say=["hi"])
            one, other = notes.guests
            assert (one.path, one.headers["Host"]) == (other.path, other.headers["Host"]) == ("/a", "host")
            assert stripped(one.messages) == other.messages == ["hi"]
    with folder() as root:
        path = root / "socket"
        async with Program(*ours("serve", "--unix", path)) as server:
            await server.line()
            lines, _ = await talk(*theirs("-", f"ws-c:unix:{path}"), say=["hi"])
            assert lines == ["hi"], lines


@row("`--socks5 HOST:PORT`")
async def check_through_a_proxy():
    port = free_port()
    async with Program("microsocks", "-i", "127.0.0.1", "-p", port) as proxy, noting() as notes:
        assert await listens(port, proxy.process)
        nobody = free_port()
        for at, (command, wrong) in enumerate([
            (theirs("--socks5", f"127.0.0.1:{port}", notes.url), theirs("--socks5", f"127.0.0.1:{nobody}", notes.url)),
            (
                ours("connect", notes.url, "--proxy", f"socks5h://127.0.0.1:{port}"),
                ours("connect", notes.url, "--proxy", f"socks5h://127.0.0.1:{nobody}"),
            ),
        ]):
            lines, status = await talk(*command, say=["hi"])
            assert (lines, status) == (["hi"], 0), (lines, status)
            assert (await ran(*wrong, say="hi\n")).status == 1
            assert len(notes.guests) == at + 1


@row("`--ping-interval N --ping-timeout N`")
async def check_pings():
    async with noting(nothing) as notes:
        options = ["--ping-interval", "1", "--ping-timeout", "5"]
        for command in [theirs(*options, notes.url), ours("connect", notes.url, *options)]:
            async with Program(*command):
                await notes.when(lambda notes: notes.guests)
                guest = notes.guests.pop()
                for _ in range(100):
                    if guest.ws.pings >= 2:
                        break
                    await asyncio.sleep(0.1)
                assert guest.ws.pings >= 2, command


@row("`--print-ping-rtts`")
async def check_how_long_a_ping_takes():
    async with Server() as server:
        async with Program("sh", "-c", f"exec {WEBSOCAT} --print-ping-rtts --ping-interval 1 {server.url} 2>&1") as program:
            assert "RTT" in await program.line()
        done = await ran(*ours("ping", server.url, "-n", "1"))
        assert done.status == 0 and " ms" in done.out, done


@row("`websocat - autoreconnect:ws://host/`")
async def check_it_comes_back():
    async def moody(ws, message):
        if message.strip() == "go":
            ws.transport.abort()
        else:
            await ws.send(message)

    async with noting(moody) as notes:
        for command in [theirs("-", f"autoreconnect:{notes.url}"), ours("connect", "--reconnect", notes.url)]:
            notes.guests.clear()
            async with Program(*command) as program:
                program.say("one\n")
                assert await program.line() == "one"
                program.say("go\n")
                await notes.when(lambda notes: len(notes.guests) == 2)
                program.say("two\n")
                while not (line := await program.line()):
                    pass
                assert line == "two", line


@row("`--close-status-code N --close-reason TEXT`")
async def check_a_close_with_a_code():
    async with Server() as server:
        done = await ran(*theirs("--close-status-code", "4001", "--close-reason", "so long", server.url), say="a\n")
        assert done.status == 0, done
        check(await server.event("end"), clean=True, code=4001, reason="so long", first="peer")
        done = await ran(*ours("connect", "--close-code", "4001", "--close-reason", "so long", server.url), say="a\n")
        assert done.status == 0, done
        check(await server.event("end"), clean=True, code=4001, reason="so long", first="peer")
        async with prompt(*ours("connect", server.url)) as person:
            await person.sees("> ")
            person.types("/close 4001 so long\r")
            await person.sees('closed by us: 4001 "so long"')
        check(await server.event("end"), clean=True, code=4001, reason="so long", first="peer")


@row("`-p TEXT`, `--preamble TEXT`")
async def check_a_first_message():
    one, other = await both_saw(lambda url: theirs(url, "-p", "hello"), lambda url: ours("connect", url, "--hello", "hello"))
    assert stripped(one.messages) == other.messages == ["hello", "a"]


@row("`-v`", "`-q`")
async def check_more_or_less_is_told():
    async with Server() as server:
        done = await ran(*theirs("-v", server.url), say="a\n")
        assert "sec-websocket-accept" in done.err.lower(), done
        done = await ran(*ours("connect", "-v", server.url), say="a\n")
        assert "sec-websocket-accept" in done.err.lower(), done
        done = await ran(*ours("connect", "-vv", server.url), say="a\n")
        assert "Text" in done.err and "Close" in done.err, done
    async with noting(lambda ws, _: ws.close(1011, "no more")) as notes:
        done = await ran(*theirs("-q", notes.url), say="a\n")
        assert done.err == "", done
        done = await ran(*ours("connect", "-q", notes.url), say="a\n")
        assert done.status == 3, done


@row("`websocat -s 8765`")
async def check_servers_that_listen():
    async with serving("-s", "{}") as program:
        async with Program(*ours("connect", program.url)) as client:
            client.say("from ours\n")
            assert await program.line() == "from ours"
            program.say("from theirs\n")
            assert await client.line() == "from theirs"
            client.process.stdin.close()
            # The end of a line is a part of the message; what shows it adds no other.
            assert (await client.process.stdout.read()).decode().strip() == ""
            # It does not answer a close, and ours says so.
            assert await client.process.wait() == 4
    async with Program(*ours("serve", "--port", "0")) as server:
        url = (await server.line()).split()[2]
        lines, _ = await talk(*theirs(url), say=["hi"])
        assert lines == ["hi"], lines
        while "closed by the peer" not in (line := await server.line()):
            pass
        assert "a close frame without a code" in line, line


ANSWER = 'while read -r line; do echo "<$line>"; done'


@row("`websocat ws-l:127.0.0.1:8765 cmd:'…'`")
async def check_a_process_for_each_connection():
    async with serving("-E", "-t", "ws-l:{}", f"cmd:{ANSWER}") as program, Server("--exec", ANSWER) as server:
        for url in [program.url, server.url]:
            async with connect(url) as one, connect(url) as other:
                # A line without its end is none to websocat's process.
                await one.send("a\n" if url == program.url else "a")
                await other.send("b c\n" if url == program.url else "b c")
                assert (await one.recv()).strip() == "<a>"
                assert (await other.recv()).strip() == "<b c>"
        # Ours speaks with theirs.
        done = await ran(*ours("connect", program.url, "--framing", "whole", "-n", "1"), say="hi\n")
        assert done.out == "<hi>\n", done
        # It answers no close.
        assert done.status == 4 and "without a close frame; we had said 1000" in done.err, done


@row("`websocat -t ws-l:127.0.0.1:8765 broadcast:cmd:'…'`")
async def check_one_process_for_all():
    async with serving("-t", "ws-l:{}", f"broadcast:cmd:{ANSWER}") as program, Server("--exec-shared", ANSWER) as server:
        for url, end in [(program.url, "\n"), (server.url, "")]:
            # That server answers no close.
            async with connect(url, close_timeout=0.1) as one, connect(url, close_timeout=0.1) as other:
                for ws in [one, other]:
                    # In, once it hears itself.
                    await ws.send("here" + end)
                    while (await ws.recv()).strip() != "<here>":
                        pass
                await one.send("to all" + end)
                for ws in [one, other]:
                    while (await ws.recv()).strip() != "<to all>":
                        pass


@row("`-e`, `--header-to-env NAME`")
async def check_a_process_knows_who_came():
    theirs_says = 'echo "$WEBSOCAT_CLIENT|$WEBSOCAT_URI|$H_Key"'
    ours_says = 'echo "$REMOTE_ADDR:$REMOTE_PORT|$REQUEST_URI|$HTTP_KEY"'
    async with (
        serving("-E", "-t", "-e", "--header-to-env=Key", "ws-l:{}", f"cmd:{theirs_says}") as program,
        Server("--exec", ours_says) as server,
    ):
        for url in [program.url, server.url]:
            async with connect(url + "/a?b=c", additional_headers={"Key": "1"}) as ws:
                said = (await ws.recv()).strip()
                address = "%s:%s" % ws.local_address
                assert said == f"{address}|/a?b=c|1", said


@row("`websocat ws-l:127.0.0.1:8765 broadcast:mirror:`")
async def check_everybody_hears_everybody():
    async with serving("-t", "ws-l:{}", "broadcast:mirror:") as program, Server("--broadcast") as server:
        for url in [program.url, server.url]:
            # That server answers no close.
            async with connect(url, close_timeout=0.1) as one, connect(url, close_timeout=0.1) as other:
                for ws in [one, other]:
                    # In, once it hears itself.
                    await ws.send("here")
                    while await ws.recv() != "here":
                        pass
                await one.send("to all")
                for ws in [one, other]:
                    while (await ws.recv()).strip() != "to all":
                        pass


@row("`websocat ws-l:127.0.0.1:8765 ws://host/`")
async def check_a_relay():
    port = free_port()
    async with noting() as notes, serving("-E", "-t", "ws-l:{}", notes.url) as program:
        async with Program(*ours("relay", port, notes.url)) as relay:
            assert await listens(port, relay.process)
            for url in [program.url, f"ws://127.0.0.1:{port}"]:
                async with connect(url) as ws:
                    await ws.send("through")
                    assert await ws.recv() == "through"
        assert [guest.messages for guest in notes.guests if guest.messages] == [["through"], ["through"]]


@row("`websocat -b ws-l:127.0.0.1:8765 tcp:HOST:PORT`")
async def check_bytes_of_another_protocol():
    async def shout(reader, writer):
        while chunk := await reader.read(100):
            writer.write(chunk.upper())
        writer.close()

    async with await asyncio.start_server(shout, "127.0.0.1", 0) as tcp:
        port = tcp.sockets[0].getsockname()[1]
        async with (
            serving("-E", "-b", "ws-l:{}", f"tcp:127.0.0.1:{port}") as program,
            Server("--exec", f"exec nc 127.0.0.1 {port}", "--binary") as server,
        ):
            for url in [program.url, server.url]:
                async with connect(url) as ws:
                    await ws.send(b"abc\n\0")
                    assert await ws.recv() == b"ABC\n\0"


@row("`-F /:text/html:index.html`")
async def check_files():
    with folder() as root:
        page = root / "index.html"
        page.write_text("<h1>front")
        async with serving("-E", "-t", "ws-l:{}", "mirror:", f"-F=/:text/html:{page}") as program:
            async with Server("--dir", root) as server:
                for url in [program.url, server.url]:
                    done = await ran("curl", "-si", url.replace("ws:", "http:") + "/")
                    assert done.out.endswith("<h1>front") and "content-type: text/html" in done.out.lower(), done
                    async with connect(url) as ws:
                        await ws.send("beside it")
                        assert (await ws.recv()).strip() == "beside it"


@row("`--server-protocol NAME`")
async def check_a_subprotocol_is_spoken():
    async with serving("-E", "-t", "--server-protocol", "chat", "ws-l:{}", "mirror:") as program:
        async with Server("--subprotocol", "chat") as server:
            for url in [program.url, server.url]:
                async with connect(url, subprotocols=["chat"]) as ws:
                    assert ws.subprotocol == "chat"


@row("`--conncap N`")
async def check_so_many_connections():
    async with serving("-E", "-t", "--conncap", "1", "ws-l:{}", "mirror:") as program:
        async with connect(program.url):
            done = await ran(*ours("connect", program.url), say="x\n")
            assert done.status == 1, done
    async with Server("--max-connections", "1") as server:
        async with connect(server.url):
            done = await ran(*ours("connect", server.url), say="x\n")
            assert done.status == 1 and "503" in done.err, done


@row("`--pkcs12-der FILE`")
async def check_certificates_of_servers():
    with folder() as root:
        cert, key = certificate(root)
        subprocess.run(
            ["openssl", "pkcs12", "-export", "-out", root / "both.p12", "-inkey", key, "-in", cert, "-passout", "pass:x"],
            check=True,
        )
        async with serving("-E", "-t", "--pkcs12-der", root / "both.p12", "--pkcs12-passwd", "x", "wss-l:{}", "mirror:") as program:
            async with Server("--cert", cert, "--key", key) as server:
                # websocat answers no close.
                for url, expected in [(program.url, 4), (server.url, 0)]:
                    url = url.replace("ws://127.0.0.1", "wss://localhost")
                    lines, status = await talk(*ours("connect", url, "--ca", cert), say=["hi"])
                    assert (lines[0], status) == ("hi", expected), (lines, status)


async def check_every_row_of_the_page_is_tried():
    every_row_is_tried("docs/from-websocat.md")


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(run(globals())) else 0)
