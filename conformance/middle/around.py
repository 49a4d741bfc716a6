"""What the checks of this folder share: an address that is not loopback, certificates, daemons on ports of their own."""

import asyncio
import atexit
import contextlib
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from programs import BUILT, PATIENCE, Program, listens

EXAMPLES = BUILT / "examples"
# Nobody may reach for a real proxy.
for variable in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]:
    for name in [variable, variable.upper()]:
        os.environ.pop(name, None)


def own_address():
    """An address of this machine that is not loopback: on the way to that one no proxy of the environment is used."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Sends nothing; only asks which address would be used.
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]


HERE = own_address()
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="lastword-middle-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
# Daemons change their user.
FOLDER.chmod(0o755)
CERTIFICATE, KEY = FOLDER / "certificate.pem", FOLDER / "key.pem"
TRUSTING = {"SSL_CERT_FILE": str(CERTIFICATE)}


def make_certificate():
    names = f"DNS:localhost,DNS:chat.example.com,IP:127.0.0.1,IP:{HERE}"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=localhost", "-addext", f"subjectAltName={names}",
         "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", KEY, "-out", CERTIFICATE],
        check=True, capture_output=True,
    )
    KEY.chmod(0o644)


make_certificate()


def server_tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    return context


def write(name, text):
    path = FOLDER / name
    path.write_text(text)
    return path


@contextlib.asynccontextmanager
async def daemon(port, *command):
    """A program that listens on `port` once it is up; ended, and everything it started with it."""
    log = open(FOLDER / f"{pathlib.Path(str(command[0])).name}-{port}.log", "w+")
    process = await asyncio.create_subprocess_exec(
        *[str(part) for part in command], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        if not await listens(port, process):
            log.seek(0)
            raise AssertionError(f"nothing listens on {port}: {log.read()}")
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.kill()
                await process.wait()


async def output(*command, env=None):
    """What a program says in all, and how it exits."""
    process = await asyncio.create_subprocess_exec(
        *[str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env=Program(env=env).env,
    )
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    return out.decode(errors="replace"), process.returncode


async def through(url, proxy, **env):
    """What the example says of a connection to `url` through `proxy`; without one it asks the environment."""
    arguments = [url] if proxy is None else [url, proxy]
    return await output(EXAMPLES / "through_proxy", *arguments, env={**TRUSTING, **env})


def says(out, *expected):
    for text in expected:
        assert text in out, f"expected {text!r} in {out!r}"
