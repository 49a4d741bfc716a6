"""The page of `lastword serve`, and pages that it serves, in headless Chromium. Started by conformance/cli/run.

What a person does is done with the page's own fields and buttons; what a page says on its console is a failure."""

import asyncio
import contextlib
import pathlib
import signal
import sys
import tempfile
import urllib.request

from playwright.async_api import Error as BrowserError
from playwright.async_api import async_playwright, expect
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.http11 import Response

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from programs import PATIENCE, Server, check, run

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]
CHROMIUM = None
HOSTILE = [
    ("<img src=x onerror='window.hit = 1'>", "<img src=x onerror='window.hit = 1'>"),
    ("</p><script>window.hit = 1</script>", "</p><script>window.hit = 1</script>"),
    ("javascript:window.hit=1", "javascript:window.hit=1"),
    ("\u202egpj.exe\u202c", "\\u{202e}gpj.exe\\u{202c}"),
    ("\x1b[2J\x07\x00\x9b", "\\u{1b}[2J\\u{7}\\u{0}\\u{9b}"),
    ("zero\u200bwidth\ufeff", "zero\\u{200b}width\\u{feff}"),
    ("one\n< two\tthree", "one\n< two\tthree"),
    ("\\u{202e}", "\\u{202e}"),
]


@contextlib.asynccontextmanager
async def page(url, *, complaints=(), **context):
    """A page of a person of its own. What it may complain about on its console is named."""
    context = await CHROMIUM.new_context(**context)
    context.set_default_timeout(PATIENCE * 1000)
    shown = await context.new_page()
    said = []
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    await shown.goto(url)
    yield shown
    await context.close()
    left = [line for line in said if not any(known in line for known in complaints)]
    assert not left, left


def at(server, path="/"):
    """Where the page of a server is."""
    return server.url.replace("ws:", "http:").replace("wss:", "https:") + path


async def ended(server, **expected):
    """How the next connection ended, past pages that were only looked at."""
    while not (end := await server.event("end"))["opened"]:
        pass
    check(end, clean=True, **expected)


async def opens(shown):
    await shown.click("#connect")
    await expect(shown.locator("#state")).to_contain_text("connected:")
    await says(shown, "good", "connected after")


async def says(shown, kind, *expected):
    """The last line of this kind has these words."""
    for words in expected:
        await expect(shown.locator(f"#log .{kind} p").last).to_contain_text(words)


async def send(shown, text):
    await shown.fill("#message", text)
    await shown.press("#message", "Enter")


async def leave(shown, code="", reason=""):
    await shown.fill("#code", code)
    await shown.fill("#reason", reason)
    await shown.click("#close")


async def check_a_person_connects_talks_and_closes():
    async with Server("--subprotocol", "chat") as server, page(at(server, "/?a=1")) as shown:
        await expect(shown.locator("#say")).to_be_hidden()
        await shown.fill("#path", "/room?b=2")
        await shown.fill("#subprotocols", "other, chat")
        await opens(shown)
        await says(shown, "good", ", chat, permessage-deflate")
        check(await server.event("open"), compression=True)
        await send(shown, "grüezi")
        check(await server.event("msg"), kind="text", text="grüezi")
        await says(shown, "out", "grüezi")
        await says(shown, "in", "grüezi")
        # Two lines are one message; the arrow brings it back.
        await shown.fill("#message", "one")
        await shown.press("#message", "Shift+Enter")
        await shown.type("#message", "two")
        await shown.click("#send")
        check(await server.event("msg"), text="one\ntwo")
        await shown.press("#message", "ArrowUp")
        await shown.press("#message", "Enter")
        check(await server.event("msg"), text="one\ntwo")
        await shown.select_option("#kind", "hex")
        await send(shown, "00 ff0A")
        check(await server.event("msg"), kind="binary", len=3)
        await says(shown, "in", "(binary, 3 bytes) 00 ff 0a")
        await send(shown, "0x")
        await says(shown, "bad", "two hexadecimal digits")
        await expect(shown.locator("#state")).to_have_text("connected: 4 sent, 4 received")
        # Only some codes are for pages; the others are told, and end nothing.
        await leave(shown, "1001")
        await says(shown, "bad", "1001")
        await leave(shown, "4001", "so long")
        await ended(server, code=4001, reason="so long", first="peer", msgs=4)
        await says(shown, "note", 'closed: 4001 "so long", after', "4 sent, 4 received")
        await expect(shown.locator("#state")).to_have_text("not connected")
        # And again.
        await opens(shown)
        await leave(shown)
        await ended(server, code=1000)
        await says(shown, "note", "closed: 1000 (normal closure), after")


async def check_a_server_that_leaves_and_one_that_dies():
    for stop, kind, expected in [
        (signal.SIGTERM, "note", 'closed: 1001 (going away) "server is shutting down"'),
        (signal.SIGKILL, "bad", "lost: it ended without a close frame (1006)"),
    ]:
        refused = ["ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET"]
        async with Server() as server, page(at(server), complaints=refused) as shown:
            await opens(shown)
            await send(shown, "hello")
            await says(shown, "in", "hello")
            server.process.send_signal(stop)
            await says(shown, kind, expected, "1 sent, 1 received")
            await server.process.wait()
            await shown.click("#connect")
            await says(shown, "bad", "no connection: a browser is not told why")


@contextlib.asynccontextmanager
async def a_stranger_with_our_page(handler):
    """Our page, policy and all, from a server of others that says what it likes."""
    async with Server() as server:
        with urllib.request.urlopen(at(server)) as answer:
            fields = {name: answer.headers[name] for name in ["Content-Type", "Content-Security-Policy"]}
            body = answer.read()

    def respond(_, request):
        if "Upgrade" not in request.headers:
            return Response(200, "OK", Headers({**fields, "Content-Length": str(len(body))}), body)

    async with serve(handler, "127.0.0.1", 0, process_request=respond) as stranger:
        yield f"http://127.0.0.1:{stranger.sockets[0].getsockname()[1]}/"


async def check_what_is_hostile_is_shown_and_not_obeyed():
    async def handler(ws):
        for text, _ in HOSTILE:
            await ws.send(text)
        await ws.send(b"<script>")
        await ws.close(4000, "<b>\u202e\x1b[m")

    async with a_stranger_with_our_page(handler) as url, page(url) as shown:
        await shown.click("#connect")
        await says(shown, "note", 'closed: 4000 "<b>\\u{202e}\\u{1b}[m"')
        seen = await shown.locator("#log .in p").evaluate_all("all => all.map(one => one.textContent)")
        assert seen == [text for _, text in HOSTILE] + ["(binary, 8 bytes) 3c 73 63 72 69 70 74 3e"], seen
        # What was escaped is told apart from what was written that way.
        assert await shown.locator("#log .in").nth(len(HOSTILE) - 1).locator(".escape").count() == 0
        assert await shown.locator("#log .in").nth(3).locator(".escape").count() == 2
        made = await shown.locator("#log *").evaluate_all("all => [...new Set(all.map(one => one.localName))].sort()")
        assert made == ["div", "i", "p", "small", "span"], made
        assert await shown.evaluate("window.hit") is None


async def check_too_much_does_not_fill_the_page():
    async def handler(ws):
        await ws.send("ä" * (1 << 20))
        await ws.send(bytes(1 << 20))
        for number in range(3000):
            await ws.send(str(number))
        await ws.wait_closed()

    async with a_stranger_with_our_page(handler) as url, page(url) as shown:
        await shown.click("#connect")
        await says(shown, "in", "2999")
        assert await shown.locator("#log > *").count() == 1000
        await shown.evaluate("""() => new Promise(resolve => {
            const look = () => log.scrollTop + log.clientHeight >= log.scrollHeight - 1
                ? resolve() : requestAnimationFrame(look);
            look();
        })""")

    async def two(ws):
        await ws.send("ä" * (1 << 20))
        await ws.send(bytes(1 << 20))
        await ws.wait_closed()

    async with a_stranger_with_our_page(two) as url, page(url) as shown:
        await opens(shown)
        await expect(shown.locator("#log .in")).to_have_count(2)
        text, binary = await shown.locator("#log .in p").all_text_contents()
        assert text.endswith("ä … (1048576 characters in all)") and len(text) < 6000, len(text)
        assert binary.startswith("(binary, 1048576 bytes) 00 00") and binary.endswith(" 00 …"), binary[:50]


async def check_the_page_may_do_nothing_else():
    """Its policy holds, whatever came into it."""
    complaints = ["Content Security Policy", "TrustedHTML", "Refused", "violates", "requires"]
    async with Server() as server, Server() as other, page(at(server), complaints=complaints) as shown:
        for attempt in [
            # Text does not become HTML, nor a script one that runs; nothing is loaded or sent elsewhere.
            "document.body.innerHTML = '<b>x'",
            "document.body.append(Object.assign(document.createElement('script'), { text: 'window.hit = 1' }))",
            "document.body.setAttribute('onclick', 'window.hit = 1'); document.body.click()",
            f"await fetch('{at(other)}')",
            f"new WebSocket('{other.url}')",
            f"document.body.append(Object.assign(document.createElement('img'), {{ src: '{at(other, '/x.png')}' }}))",
        ]:
            violated = await shown.evaluate(f"""async () => {{
                const violated = new Promise(resolve => document.addEventListener(
                    "securitypolicyviolation", event => resolve(event.effectiveDirective), {{ once: true }}));
                try {{ {attempt} }} catch (error) {{}}
                return Promise.race([violated, new Promise(resolve => setTimeout(resolve, 5000, null))]);
            }}""")
            assert violated, attempt
        assert await shown.evaluate("window.hit") is None
        framed = at(server)
        async with page(at(other), complaints=complaints) as around:
            await around.evaluate(f"""() => new Promise(resolve => {{
                const frame = Object.assign(document.createElement("iframe"), {{ src: "{framed}", onload: resolve }});
                document.body.append(frame);
                setTimeout(resolve, 5000);
            }})""")
            for frame in around.frames[1:]:
                assert await frame.query_selector("#log") is None, "framed"


async def check_over_tls():
    async with Server("--tls") as server:
        url = at(server).replace("http:", "https:")
        async with page(url, ignore_https_errors=True) as shown:
            await expect(shown.locator("#server")).to_have_text(url.replace("https:", "wss:").rstrip("/"))
            await opens(shown)
            await send(shown, "in secret")
            await says(shown, "in", "in secret")
            await leave(shown, "3000")
            await ended(server, code=3000)


async def check_pages_on_the_same_path_hear_each_other():
    async with Server("--topics") as server:
        async with page(at(server)) as ada, page(at(server)) as bob, page(at(server)) as eve:
            for shown, path in [(ada, "/a"), (bob, "/a"), (eve, "/e")]:
                await shown.fill("#path", path)
                await opens(shown)
                # Who hears oneself is in the room.
                await send(shown, f"here on {path}")
                await says(shown, "in", f"here on {path}")
            await send(ada, "for bob")
            await says(bob, "in", "for bob")
            await send(eve, "for nobody")
            await says(eve, "in", "for nobody")
            await expect(eve.locator("#log .in")).to_have_count(2)
            # And a program is one of them.
            async with connect(server.url + "/a") as program:
                await program.send("from a program")
                await says(ada, "in", "from a program")
                await says(bob, "in", "from a program")


FRONT = """<!doctype html><link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css"><h1>front</h1>
<script type="module" src="script/front.mjs"></script>"""
SCRIPT = """const ws = new WebSocket(location.origin.replace(/^http/, "ws") + "/socket");
ws.onopen = () => ws.send("from a file");
ws.onmessage = ({ data }) => { document.title = data; ws.close(4004); };"""


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="lastword-page-") as name:
        root = pathlib.Path(name)
        (root / "index.html").write_text(FRONT)
        (root / "style.css").write_text("h1 { color: rgb(1, 2, 3) }")
        (root / "script").mkdir()
        (root / "script/front.mjs").write_text(SCRIPT)
        yield root


async def check_files_are_served_and_their_page_opens_the_websocket():
    with folder() as root:
        async with Server("--dir", root) as server, page(at(server)) as shown:
            await expect(shown).to_have_title("from a file")
            colour = await shown.eval_on_selector("h1", "one => getComputedStyle(one).color")
            assert colour == "rgb(1, 2, 3)", colour
            await ended(server, code=4004)


async def check_pages_of_others_run_no_commands():
    with folder() as root:
        async with Server("--exec", "cat") as server, Server("--dir", root) as elsewhere:
            async with page(at(server)) as own:
                await opens(own)
                await send(own, "through a process")
                await says(own, "in", "through a process")
                await leave(own)
                await ended(server, code=1000)
            async with page(at(elsewhere), complaints=["403"]) as stranger:
                code = await stranger.evaluate(
                    "url => new Promise(resolve => { new WebSocket(url).onclose = ({ code }) => resolve(code); })",
                    server.url,
                )
                assert code == 1006, code
                end = await server.event("end")
                check(end, opened=False)
                assert "403" in end["error"], end


async def check_a_password_is_asked_of_the_page_and_its_websocket():
    with tempfile.NamedTemporaryFile("w") as secret:
        secret.write("open sesame")
        secret.flush()
        async with Server("--user", "ali", "--password-file", secret.name) as server:
            known = {"username": "ali", "password": "open sesame"}
            async with page(at(server), http_credentials=known) as shown:
                await opens(shown)
                await send(shown, "let in")
                await says(shown, "in", "let in")
            async with page("about:blank", complaints=["401"]) as shown:
                # A person would be asked for them; nobody is here.
                try:
                    await shown.goto(at(server))
                    raise AssertionError("a page without a password")
                except BrowserError as error:
                    assert "ERR_INVALID_AUTH_CREDENTIALS" in str(error), error


async def check_it_fits_on_a_phone():
    for width in [320, 390, 1100]:
        async with Server() as server, page(at(server), viewport={"width": width, "height": 640}) as shown:
            await opens(shown)
            await send(shown, "x" * 500)
            await says(shown, "in", "xxx")
            assert await shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert await shown.evaluate("document.documentElement.scrollHeight <= innerHeight")
            assert await shown.evaluate("log.clientHeight > 200")


async def main():
    global CHROMIUM
    expect.set_options(timeout=PATIENCE * 1000)
    async with async_playwright() as browsers:
        CHROMIUM = await browsers.chromium.launch(executable_path="/usr/bin/chromium", headless=True, args=FLAGS)
        return await run(globals())


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(main()) else 0)
