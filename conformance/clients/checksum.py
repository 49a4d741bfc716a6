"""The extension of `crates/lastword/examples/checksum`, for `websockets`: behind each message stands its
CRC-32, and RSV2 says so; with `numbered`, the number of the message is part of it.

`websockets` shows its extensions frames. Messages in several frames are not handled here: the check
sends none."""

import dataclasses
import zlib

from websockets.exceptions import NegotiationError, ProtocolError
from websockets.extensions import ClientExtensionFactory, Extension, ServerExtensionFactory
from websockets.frames import DATA_OPCODES

NAME = "x-checksum"


class Checksum(Extension):
    name = NAME

    def __init__(self, numbered):
        self.numbered = numbered
        self.sent = self.received = 0

    def checksum(self, number, data):
        front = number.to_bytes(8, "big") if self.numbered else b""
        return zlib.crc32(front + bytes(data)).to_bytes(4, "big")

    def encode(self, frame):
        if frame.opcode not in DATA_OPCODES:
            return frame
        assert frame.fin, "a message in several frames"
        data = bytes(frame.data)
        data += self.checksum(self.sent, data)
        self.sent += 1
        return dataclasses.replace(frame, data=data, rsv2=True)

    def decode(self, frame, *, max_size=None):
        if frame.opcode not in DATA_OPCODES:
            return frame
        data = bytes(frame.data)
        if not (frame.fin and frame.rsv2 and data[-4:] == self.checksum(self.received, data[:-4])):
            raise ProtocolError("wrong checksum")
        self.received += 1
        return dataclasses.replace(frame, data=data[:-4], rsv2=False)


class ClientChecksum(ClientExtensionFactory):
    name = NAME

    def __init__(self, numbered):
        self.numbered = numbered

    def get_request_params(self):
        return [("numbered", None)] if self.numbered else []

    def process_response_params(self, params, accepted_extensions):
        if params != self.get_request_params():
            raise NegotiationError(f"answer with {params}")
        return Checksum(self.numbered)


class ServerChecksum(ServerExtensionFactory):
    name = NAME

    def process_request_params(self, params, accepted_extensions):
        if params not in ([], [("numbered", None)]):
            raise NegotiationError(f"offer with {params}")
        return params, Checksum(bool(params))
