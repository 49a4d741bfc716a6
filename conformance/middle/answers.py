"""Servers of Python's `websockets` that send elsewhere, or refuse. Started by conformance/middle/run."""

import asyncio
import contextlib
import sys

from around import TRUSTING, output, says, server_tls, through
from programs import LASTWORD, run
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.http11 import Response


@contextlib.asynccontextmanager
async def server(answer=None, tls=None):
    """An echo, unless `answer(request)` has something else to say; its address, and what was asked of it."""
    asked = []

    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    def decide(_, request):
        asked.append(request)
        return answer(request) if answer else None

    async with serve(echo, "127.0.0.1", 0, process_request=decide, ssl=tls) as running:
        scheme = "wss" if tls else "ws"
        yield f"{scheme}://localhost:{running.sockets[0].getsockname()[1]}", asked


def response(status, phrase, body=b"", **headers):
    fields = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Response(status, phrase, Headers(fields), body)


async def connect(url, *options):
    return await output(LASTWORD, "connect", url, "--wait", "0", "--report", "json", *options, env=TRUSTING)


async def check_each_status_that_redirects_is_followed_and_credentials_stay_at_home():
    for status in [300, 301, 302, 303, 307, 308]:
        async with server() as (there, at_end):
            def answer(request, status=status, there=there):
                if request.path == "/first":
                    return response(status, "Elsewhere", Location="/second")
                return response(status, "Elsewhere", Location=there.replace("ws:", "http:") + "/third#part")

            async with server(answer) as (here, at_start):
                url = here.replace("ws://", "ws://user:secret@") + "/first"
                out, code = await connect(url, "-H", "Cookie: c=1", "-H", "X-Kept: yes")
                assert code == 0, out
                says(out, '"code":1000')
                assert [request.path for request in at_start + at_end] == ["/first", "/second", "/third"]
                for request in at_start:
                    assert request.headers["Authorization"] == "Basic dXNlcjpzZWNyZXQ=", request
                    assert request.headers["Cookie"] == "c=1", request
                for request in at_end:
                    assert "Authorization" not in request.headers and "Cookie" not in request.headers, request
                    assert request.headers["X-Kept"] == "yes", request
                    assert "http://" + request.headers["Host"] == there.replace("ws:", "http:"), request


async def check_from_ws_to_wss_and_never_back():
    async with server(tls=server_tls()) as (secure, at_end):
        async with server(lambda _: response(301, "Moved", Location=secure)) as (plain, _):
            out, code = await connect(plain)
            assert code == 0 and len(at_end) == 1, out
    async with server() as (plain, at_end):
        async with server(lambda _: response(302, "Found", Location=plain), tls=server_tls()) as (secure, _):
            out, code = await connect(secure)
            assert code == 1 and not at_end, out
            says(out, "redirect not followed", "redirect from wss to ws", plain)


async def check_a_circle_ends_and_a_redirect_to_nowhere_is_told():
    async with server(lambda _: response(307, "Again", Location="/")) as (url, asked):
        out, code = await connect(url)
        assert code == 1 and len(asked) == 11, out
        says(out, "more than 10 redirects (max_redirects)")
        out, _ = await through(url, "direct")
        says(out, "worth another try: no")
    for location, expected in [("ftp://a/", "ftp://a/"), ("//", "//"), ("http://a b/", "http://a b/")]:
        async with server(lambda _, to=location: response(302, "Found", Location=to)) as (url, asked):
            out, code = await connect(url)
            assert code == 1 and len(asked) == 1, out
            says(out, "redirect to", expected)
    # Without a place it is a refusal, as is a status that sends nobody anywhere.
    for status in [302, 304]:
        async with server(lambda _, status=status: response(status, "Found")) as (url, _):
            out, code = await connect(url)
            assert code == 1, out
            says(out, f"server refused the connection with {status}")


async def check_refusals_show_status_headers_and_body():
    for answer, expected, retry in [
        (response(401, "Unauthorized", b"who are you?\n", WWW_Authenticate='Basic realm="here"'),
         ["401 Unauthorized", "who are you?", "www-authenticate: Basic realm="], "no"),
        (response(403, "Forbidden", b"members only\n"), ["403 Forbidden", "members only"], "no"),
        (response(404, "Not Found", b"there is only /chat\n"), ["404 Not Found", "there is only /chat"], "no"),
        (response(426, "Upgrade Required", b"speak 14\n", Upgrade="websocket/14"),
         ["426 Upgrade Required", "speak 14", "upgrade: websocket/14"], "no"),
        (response(429, "Too Many Requests", b"slowly\n", Retry_After="7"),
         ["429 Too Many Requests", "slowly", "retry-after: 7"], "yes"),
        (response(500, "Internal Server Error", b"oops\n"), ["500 Internal Server Error", "oops"], "yes"),
        (response(503, "Service Unavailable", b"back soon\n", Retry_After="120"),
         ["503 Service Unavailable", "back soon", "retry-after: 120"], "yes"),
    ]:
        async with server(lambda _, answer=answer: answer) as (url, _):
            # The command shows status and body, the API all of it.
            out, code = await connect(url)
            assert code == 1, out
            says(out, *expected[:2])
            out, code = await through(url, "direct")
            assert code == 1, out
            says(out, *expected, f"worth another try: {retry}")


async def check_an_answer_without_a_length_ends_with_the_stream():
    answer = Response(403, "Forbidden", Headers(), b"until the end")
    async with server(lambda _: answer) as (url, _):
        out, code = await connect(url)
        assert code == 1, out
        says(out, "403", "until the end")


async def check_what_a_server_refuses_by_itself():
    """Its own words about an origin, and about subprotocols that it does not have."""
    async def nobody(_):
        raise AssertionError("nobody comes in")

    async with serve(nobody, "127.0.0.1", 0, origins=["https://example.com"]) as running:
        out, code = await connect(f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}")
        assert code == 1, out
        says(out, "403", "Origin")
    async with serve(nobody, "127.0.0.1", 0, subprotocols=["chat"]) as running:
        out, code = await connect(f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}", "--subprotocol", "other")
        assert code == 1, out
        says(out, "400")


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(run(globals())) else 0)
