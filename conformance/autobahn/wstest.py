"""Autobahn's wstest, listening on this machine only: by itself it listens on every address."""

from twisted.internet import reactor

listen = reactor.listenTCP


def listen_on_loopback(port, factory, backlog=50, interface=""):
    return listen(port, factory, backlog, "127.0.0.1")


reactor.listenTCP = listen_on_loopback

from autobahntestsuite.wstest import run  # noqa: E402: it takes the reactor as it finds it

run()
