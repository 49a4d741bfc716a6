"""What machine this is, and which versions of everybody are measured."""

import json
import os
import platform
import re
import subprocess
import tomllib
from pathlib import Path

HERE = Path(__file__).parent


def machine() -> dict:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "processor": cpu[1] if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "memory": f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "?",
        "kernel": platform.release(),
        "rustc": said("rustc", "--version").removeprefix("rustc "),
        "commit": said("git", "-C", str(HERE), "describe", "--always", "--dirty"),
    }


def of(peers: list[dict], cache: Path) -> dict[str, str]:
    return {peer["key"]: version(peer, cache) for peer in peers}


def version(peer: dict, cache: Path) -> str:
    if peer.get("ours"):
        return tomllib.loads((HERE.parent / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    if crate := peer.get("crate"):
        lock = tomllib.loads((HERE / "servers/Cargo.lock").read_text())["package"]
        # Of two versions the lock file says which one is ours; the other one is a peer's own.
        ours = next(package for package in lock if package["name"] == "lastword-peers")["dependencies"]
        named = next(line.split() for line in ours if line.split()[0] == crate)
        versions = [package["version"] for package in lock if package["name"] == crate]
        return named[1] if len(named) > 1 else versions[0]
    if command := peer.get("version"):
        return said("sh", "-c", command.format(cache=cache, here=HERE))
    return ""


def said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return "?"
