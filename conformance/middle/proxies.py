"""Real proxies in between: tinyproxy, squid (also over TLS), microsocks, dante, ssh. Started by conformance/middle/run."""

import asyncio
import contextlib
import pathlib
import shutil
import subprocess
import sys

from around import CERTIFICATE, FOLDER, HERE, KEY, TRUSTING, daemon, output, says, server_tls, through, write
from programs import LASTWORD, free_port, run
from websockets.asyncio.server import serve


@contextlib.asynccontextmanager
async def servers():
    """A server for ws and one for wss, of `websockets`, on an address that is not loopback; and who came."""
    came = []

    async def echo(ws):
        came.append(ws.remote_address)
        async for message in ws:
            await ws.send(message)

    async with serve(echo, HERE, 0) as plain, serve(echo, HERE, 0, ssl=server_tls()) as tls:
        ports = [server.sockets[0].getsockname()[1] for server in [plain, tls]]
        yield [f"ws://{HERE}:{ports[0]}", f"wss://{HERE}:{ports[1]}"], came


@contextlib.asynccontextmanager
async def tinyproxy(extra=""):
    port = free_port()
    config = write(f"tinyproxy-{port}.conf", f"Port {port}\nListen 0.0.0.0\nTimeout 60\nLogLevel Critical\n{extra}")
    async with daemon(port, "tinyproxy", "-d", "-c", config):
        yield port


@contextlib.asynccontextmanager
async def squid(extra="http_access allow all"):
    """One port of plain text and one of TLS."""
    port, tls = free_port(), free_port()
    config = write(
        f"squid-{port}.conf",
        f"http_port {port}\nhttps_port {tls} tls-cert={CERTIFICATE} tls-key={KEY}\n"
        f"pid_filename none\naccess_log none\ncache_log /dev/null\ncache deny all\n"
        f"shutdown_lifetime 0 seconds\nmax_filedescriptors 1024\n{extra}\n",
    )
    async with daemon(port, "squid", "-N", "-f", config):
        yield port, tls


@contextlib.asynccontextmanager
async def microsocks(*options):
    port = free_port()
    async with daemon(port, "microsocks", "-i", "0.0.0.0", "-p", port, *options):
        yield port


@contextlib.asynccontextmanager
async def dante(rules="socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }"):
    port = free_port()
    config = write(
        f"danted-{port}.conf",
        f"logoutput: stderr\ninternal: 0.0.0.0 port = {port}\nexternal: {HERE}\n"
        "clientmethod: none\nsocksmethod: none\nuser.privileged: root\nuser.unprivileged: nobody\n"
        f"client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n{rules}\n",
    )
    async with daemon(port, "danted", "-f", config):
        yield port


@contextlib.asynccontextmanager
async def ssh():
    """`ssh -D`, which many have for a proxy, to a server of its own."""
    port, socks = free_port(), free_port()
    for name in ["host", "user"]:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", FOLDER / f"{name}-{port}"], check=True)
    keys = FOLDER / f"user-{port}"
    config = write(
        f"sshd-{port}.conf",
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {FOLDER}/host-{port}\nAuthorizedKeysFile {keys}.pub\n"
        "PidFile none\nPermitRootLogin yes\nStrictModes no\nUsePAM no\n",
    )
    pathlib.Path("/run/sshd").mkdir(exist_ok=True)
    options = [option for name in ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR",
                                   "ExitOnForwardFailure=yes"] for option in ["-o", name]]
    async with daemon(port, shutil.which("sshd"), "-D", "-e", "-f", config):
        async with daemon(socks, "ssh", "-N", "-D", f"127.0.0.1:{socks}", "-i", keys, "-p", port, *options, "127.0.0.1"):
            yield socks


async def opens(urls, *proxies):
    """A conversation through each proxy, to each server."""
    for proxy in proxies:
        for url in urls:
            out, status = await through(url, proxy)
            says(out, "received Some(text \"hello through the proxy\"", "closed by us: 1000")
            assert status == 0, out


async def refuses(url, proxy, *expected, retry):
    """The proxy is named, without its password, with what it said, and whether to try again."""
    out, status = await through(url, proxy)
    scheme, rest = proxy.split("://")
    says(out, f"{scheme}://{rest.rsplit('@')[-1]}", f"worth another try: {retry}", *expected)
    assert status == 1 and "secret" not in out and "wrong" not in out, out


async def check_tinyproxy_and_its_credentials():
    async with servers() as (urls, _), tinyproxy("BasicAuth user secret") as port:
        await opens(urls, f"http://user:secret@127.0.0.1:{port}")
        for url in urls:
            await refuses(url, f"http://127.0.0.1:{port}", "407", "proxy-authenticate: Basic", retry="no")
            # It answers wrong ones as if it were the server.
            await refuses(url, f"http://user:wrong@127.0.0.1:{port}", "401", "www-authenticate: Basic", retry="no")


async def check_tinyproxy_that_forbids():
    rules = write("filter", "^forbidden[.]invalid$\n")
    async with servers() as (urls, _), tinyproxy(f'Filter "{rules}"') as port:
        await opens(urls, f"http://127.0.0.1:{port}")
        await refuses("ws://forbidden.invalid", f"http://127.0.0.1:{port}", "403", retry="no")


async def check_squid_over_tcp_and_over_tls():
    async with servers() as (urls, _), squid() as (port, tls):
        # The last one is TLS inside TLS.
        await opens(urls, f"http://127.0.0.1:{port}", f"https://127.0.0.1:{tls}")
        closed = f"ws://{HERE}:{free_port()}"
        await refuses(closed, f"http://127.0.0.1:{port}", "503", retry="yes")
        await refuses(closed, f"https://127.0.0.1:{tls}", "503", retry="yes")
        # A proxy whose certificate nobody vouches for is given no word of where we go.
        out, _ = await through(urls[1], f"https://127.0.0.1:{tls}", SSL_CERT_FILE="/dev/null")
        says(out, "TLS", "worth another try: no")


async def check_squid_with_credentials_and_a_forbidden_port():
    helper = write("credentials", "#!/bin/sh\nwhile read -r line; do\n"
                   "[ \"$line\" = 'us@er s:ecret' ] && echo OK || echo ERR\ndone\n")
    helper.chmod(0o755)
    rules = (
        f"auth_param basic program {helper}\nauth_param basic realm middle\nacl known proxy_auth REQUIRED\n"
        "acl forbidden port 7\nhttp_access deny forbidden\nhttp_access allow known\nhttp_access deny all"
    )
    async with servers() as (urls, _), squid(rules) as (port, tls):
        for scheme, at in [("http", port), ("https", tls)]:
            await opens(urls, f"{scheme}://us%40er:s%3Aecret@127.0.0.1:{at}")
            for who in ["", "user:wrong@"]:
                await refuses(urls[0], f"{scheme}://{who}127.0.0.1:{at}", "407", "proxy-authenticate: Basic", "middle", retry="no")
            await refuses(f"ws://{HERE}:7", f"{scheme}://us%40er:s%3Aecret@127.0.0.1:{at}", "403", retry="no")


async def check_microsocks_and_its_credentials():
    async with servers() as (urls, _), microsocks("-u", "user", "-P", "secret") as port:
        for scheme in ["socks5", "socks5h"]:
            await opens(urls, f"{scheme}://user:secret@127.0.0.1:{port}")
            await refuses(urls[0], f"{scheme}://127.0.0.1:{port}", "no way to authenticate", "no credentials are set",
                          retry="no")
            await refuses(urls[0], f"{scheme}://user:wrong@127.0.0.1:{port}", "rejected the credentials", retry="no")


async def check_microsocks_says_why_not():
    async with microsocks() as port:
        await refuses(f"ws://{HERE}:{free_port()}", f"socks5://127.0.0.1:{port}", "connection refused", retry="yes")
        await refuses("ws://nobody.invalid", f"socks5h://127.0.0.1:{port}", "proxy refused the connection", retry="yes")
        # Without the h it is we who do not find the name, and the proxy hears of nothing.
        out, _ = await through("ws://nobody.invalid", f"socks5://127.0.0.1:{port}")
        says(out, 'cannot resolve "nobody.invalid"', "worth another try: yes")


async def check_dante_in_its_versions_of_socks():
    async with servers() as (urls, _), dante() as port:
        await opens(urls, *[f"{scheme}://127.0.0.1:{port}" for scheme in ["socks4", "socks5", "socks5h"]])
        await refuses(f"ws://{HERE}:{free_port()}", f"socks5h://127.0.0.1:{port}", "connection refused", retry="yes")
        await refuses(f"ws://{HERE}:{free_port()}", f"socks4://127.0.0.1:{port}", "proxy refused", retry="yes")


async def check_names_are_resolved_by_the_proxy():
    """`localhost` is the proxy's own, whoever asks."""
    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    async with serve(echo, "127.0.0.1", 0, ssl=server_tls()) as server:
        urls = [f"wss://localhost:{server.sockets[0].getsockname()[1]}"]
        async with ssh() as port:
            await opens(urls, *[f"{scheme}://127.0.0.1:{port}" for scheme in ["socks4", "socks4a", "socks5", "socks5h"]])
        async with microsocks() as port:
            await opens(urls, f"socks5h://127.0.0.1:{port}")
        async with squid() as (port, tls):
            await opens(urls, f"http://127.0.0.1:{port}", f"https://localhost:{tls}")


async def check_dante_that_forbids():
    rules = "socks block { from: 0.0.0.0/0 to: 0.0.0.0/0 }"
    async with servers() as (urls, _), dante(rules) as port:
        await refuses(urls[0], f"socks5://127.0.0.1:{port}", "forbidden by its rules", retry="no")
        await refuses(urls[0], f"socks4://127.0.0.1:{port}", "no reason given", retry="yes")


async def check_no_proxy_there_and_one_that_is_none():
    async with servers() as (urls, _):
        nobody = f"127.0.0.1:{free_port()}"
        for scheme in ["http", "https", "socks4", "socks5h"]:
            out, _ = await through(urls[0], f"{scheme}://{nobody}")
            says(out, f"cannot connect to {nobody}", "worth another try: yes")
        # A server of WebSocket is no proxy, nor is one of SOCKS one of HTTP.
        place = urls[0].removeprefix("ws://")
        await refuses(urls[0], f"http://{place}", "405", retry="no")
        async with microsocks() as port:
            await refuses(urls[0], f"http://127.0.0.1:{port}", "closed the connection inside its handshake", retry="yes")


async def check_the_environment():
    """`lastword connect` goes through whom the variables name, and past whom `no_proxy` lists."""
    async with servers() as (urls, came), tinyproxy("BasicAuth user secret") as port, microsocks() as socks:
        good, bad = f"http://user:secret@127.0.0.1:{port}", f"http://127.0.0.1:{port}"

        async def connect(url, **env):
            out, status = await output(LASTWORD, "connect", url, "--wait", "0", "--report", "json", env={**TRUSTING, **env})
            return (status, out)

        plain, tls = urls
        for url, env in [
            (plain, {"http_proxy": good}),
            (plain, {"ws_proxy": good, "http_proxy": bad}),
            (plain, {"all_proxy": f"socks5h://127.0.0.1:{socks}"}),
            (tls, {"https_proxy": good, "http_proxy": bad}),
            (tls, {"HTTPS_PROXY": good}),
            (tls, {"ALL_PROXY": f"socks5://127.0.0.1:{socks}"}),
            # Past it: by address, by network, by a list, all; and a variable that is not for us.
            (plain, {"http_proxy": bad, "no_proxy": HERE}),
            (plain, {"http_proxy": bad, "no_proxy": f"example.com, {HERE}/31"}),
            (tls, {"https_proxy": bad, "NO_PROXY": "*"}),
            (tls, {"http_proxy": bad}),
            (plain, {"HTTP_PROXY": bad}),
        ]:
            status, out = await connect(url, **env)
            assert status == 0, (url, env, out)
            says(out, '"code":1000')
        assert len(came) == 11, came
        for url, env in [
            (plain, {"http_proxy": bad}),
            (plain, {"http_proxy": bad, "no_proxy": f"{HERE}:1,example.com"}),
            (tls, {"all_proxy": bad}),
        ]:
            status, out = await connect(url, **env)
            assert status == 1, (url, env, out)
            says(out, f"http://127.0.0.1:{port}", "407")
        status, out = await connect(plain, http_proxy="ftp://127.0.0.1")
        assert status == 1, out
        says(out, "invalid proxy in the environment", "expected http, https, socks4")
        assert len(came) == 11, came


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(run(globals())) else 0)
