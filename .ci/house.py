"""The rules of the house that no compiler keeps: no import points up or round in a circle, code imports
from the room that defines, the core asks for no clock, socket or thread."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]

# Lower floors first; a room may import from lower floors only. ARCHITECTURE.md draws the same picture.
PROTO = [
    ["wire", "utf8", "rare", "budget", "rate"],
    ["message", "exchange"],
    ["cut", "header", "extension"],
    ["agreement"],
    ["config", "timers", "masks"],
    ["violation", "ledger", "record", "handshake", "deflate", "heartbeat"],
    ["keepalive", "decoder", "burst", "prepared", "pace", "transforms"],
    ["control", "closing"],
    ["output", "assembler", "event", "whole"],
    ["encoder", "inbox"],
    ["connection"],
    ["lib"],
]
SIM = [
    ["action", "broken", "link", "numbered", "witness"],
    ["setup"],
    ["side"],
    ["world"],
    ["oracle"],
    ["play"],
    ["script"],
    ["dice", "explore", "shrink"],
    ["lib", "main"],
]
RETRY = [
    ["backoff", "verdict"],
    ["schedule"],
    ["lib"],
]
KIT = [
    ["error", "opening", "seed", "trust", "tls_details", "certificates", "limits", "log", "shutdown", "listening",
     "outbox", "socket_file"],
    ["answer", "audience", "counts", "handled", "report", "client", "verdict", "listen"],
    ["credentials", "desk", "received", "routes", "reconnect"],
    ["lib"],
]
DRIVER = [
    ["sync", "guide"],
    ["transport", "bell"],
    ["shared"],
    ["pump", "websocket"],
    ["parts"],
    ["connect", "serve", "broadcast", "streams", "watch"],
    ["reconnect"],
    ["lib"],
]
DIAL = [
    ["credentials", "host", "race"],
    ["addresses", "authority", "answer"],
    ["uri", "proxy"],
    ["environment", "redirect", "http_connect", "socks"],
    ["tunnel"],
    ["lib"],
]
BLOCKING = [
    ["cancel", "bell"],
    ["socket"],
    ["stream", "connecting"],
    ["crank"],
    ["shared"],
    ["pump", "websocket"],
    ["parts", "watch"],
    ["connect", "serve", "broadcast"],
    ["reconnect"],
    ["lib"],
]
FAKES = [
    ["authority", "certificates", "place"],
    ["proxies"],
    ["lib"],
]
COMMAND = [
    ["advice", "exit", "figures", "stop"],
    ["args"],
    ["style"],
    ["print"],
    ["show", "refused", "recording", "report", "runtime"],
    ["explain", "shell"],
    ["connect", "serve", "ping", "bench", "check", "relay", "replay"],
    ["main"],
]
CRATES = [
    "lastword-fakes",
    "lastword-mask",
    "lastword-proto",
    "lastword-retry",
    "lastword-dial",
    "lastword-sim",
    "lastword-kit",
    "lastword",
    "lastword-metrics",
    "lastword-hyper",
    "lastword-axum",
    "lastword-blocking",
    "lastword-faults",
    "lastword-cli",
]
FORBIDDEN = r"Instant::now|SystemTime::now|std::net|std::thread|std::fs|tokio"
# Without I/O and clocks; of a calendar only the second one has heard, which is handed in.
CORES = {
    "lastword-proto": FORBIDDEN + "|SystemTime",
    "lastword-retry": FORBIDDEN,
    "lastword-dial": FORBIDDEN + "|SystemTime",
}


def code(path):
    """The lines of a file that are code of the crate itself, not tests, not comments."""
    text = path.read_text().split("#[cfg(test)]\nmod tests {")[0]
    return [line for line in text.splitlines() if not line.lstrip().startswith("//")]


def rooms(crate):
    for path in sorted((ROOT / "crates" / crate / "src").rglob("*.rs")):
        if path.name != "tests.rs":
            yield path.relative_to(ROOT / "crates" / crate / "src").parts[0].removesuffix(".rs"), path


def check_floors(crate, floors):
    floor = {room: number for number, names in enumerate(floors) for room in names}
    for room, path in rooms(crate):
        if room not in floor:
            yield f"{path}: room {room!r} stands on no floor of .ci/house.py"
            continue
        if room == "lib":
            continue
        for line in code(path):
            for other in re.findall(r"\bcrate::(\w+)", line):
                if other == room:
                    continue
                if other not in floor:
                    yield f"{path}: imports {other!r} from the crate's root, not from its room"
                elif floor[other] > floor[room] or (floor[other] == floor[room] and other != room):
                    yield f"{path}: an arrow from {room!r} up or across to {other!r}"


def check_core():
    for crate, forbidden in CORES.items():
        for _, path in rooms(crate):
            for number, line in enumerate(code(path), 1):
                if re.search(forbidden, line):
                    yield f"{path}:{number}: a core does no I/O and asks no clock: {line.strip()}"


def check_crates():
    for number, crate in enumerate(CRATES):
        manifest = (ROOT / "crates" / crate / "Cargo.toml").read_text().split("[dev-dependencies]")[0]
        for upper in CRATES[number:]:
            if re.search(rf"^{upper}(\.workspace)?\s*=", manifest, re.M):
                yield f"{crate}: depends on {upper}, which stands above it"


problems = [
    *check_floors("lastword-proto", PROTO),
    *check_floors("lastword-retry", RETRY),
    *check_floors("lastword-dial", DIAL),
    *check_floors("lastword-sim", SIM),
    *check_floors("lastword-kit", KIT),
    *check_floors("lastword", DRIVER),
    *check_floors("lastword-blocking", BLOCKING),
    *check_floors("lastword-fakes", FAKES),
    *check_floors("lastword-cli", COMMAND),
    *check_core(),
    *check_crates(),
]
print("\n".join(problems) or "no arrow up, no circle, no clock in the core")
sys.exit(1 if problems else 0)
