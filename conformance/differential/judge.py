"""websockets 17.4's sans-I/O Protocol as a judge: cases on stdin, verdicts on stdout.

A case: reads as client, stream ends, deflate (0 none, 1 with context takeover, 2 without), one byte each;
limit; number of reads; each read with its length. A verdict: messages (1 text, 0 binary; payload); pongs;
1 + messages before the first final deflate block, or 0; the end (0 open, 1 closed, 2 failed, 3 end of
stream, 4 an error of its own), its code, the code that answers it, its words. Numbers have four bytes.

The Protocol does not check text: as in the `recv` of the APIs, that is done here, when a message is whole.
"""

import logging
import struct
import sys

import websockets
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import CloseCode, Opcode
from websockets.protocol import CLIENT, OPEN, SERVER, Protocol


class Decoder:
    """A decoder of zlib that tells of its final block."""

    def __init__(self, decoder, met):
        self.decoder, self.met = decoder, met

    def decompress(self, *args):
        data = self.decoder.decompress(*args)
        if self.decoder.eof:
            self.met()
        return data

    @property
    def unconsumed_tail(self):
        return self.decoder.unconsumed_tail


class Deflate(PerMessageDeflate):
    """permessage-deflate that remembers whether a final block came."""

    final = False

    @property
    def decoder(self):
        return self.watched

    @decoder.setter
    def decoder(self, decoder):
        self.watched = Decoder(decoder, self.met)

    @decoder.deleter
    def decoder(self):
        del self.watched

    def met(self):
        self.final = True


def sent(writes):
    """The frames among what was written, unmasked: opcode and payload."""
    wire = b"".join(writes)
    while wire:
        length, at = wire[1] & 0x7F, 2
        if length == 126:
            (length,), at = struct.unpack("!H", wire[2:4]), 4
        key = bytes(4)
        if wire[1] & 0x80:
            key, at = wire[at : at + 4], at + 4
        yield wire[0] & 0x0F, bytes(b ^ key[i % 4] for i, b in enumerate(wire[at : at + length]))
        wire = wire[at + length :]


def judge(client, ends, deflate, limit, reads):
    protocol = Protocol(CLIENT if client else SERVER, state=OPEN, max_size=limit)
    if deflate:
        protocol.extensions = [Deflate(deflate == 2, deflate == 2, 15, 15)]
    messages, writes, final = [], [], 0
    kind, parts, listening = None, [], True

    def take():
        nonlocal kind, parts, listening, final
        for frame in protocol.events_received():
            if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
                kind, parts = frame.opcode, []
            elif frame.opcode != Opcode.CONT:
                continue
            parts.append(bytes(frame.data))
            if frame.fin and listening:
                data = b"".join(parts)
                try:
                    if kind == Opcode.TEXT:
                        data.decode()
                    messages.append((kind, data))
                except UnicodeDecodeError as error:
                    listening = False
                    protocol.fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
        writes.extend(protocol.data_to_send())

    for read in reads:
        before = len(messages)
        protocol.receive_data(read)
        if deflate and protocol.extensions[0].final and not final:
            final = 1 + before
        take()
    if ends:
        protocol.receive_eof()
        take()

    pongs, answer = [], 1006
    for opcode, payload in sent(writes):
        if opcode == Opcode.PONG:
            pongs.append(payload)
        elif opcode == Opcode.CLOSE:
            answer = struct.unpack("!H", payload[:2])[0] if payload else 1005
    # A close frame that it refuses is received, too, and answered with an error.
    refused = protocol.parser_exc is not None and not isinstance(protocol.parser_exc, EOFError)
    if protocol.close_rcvd is not None and not refused:
        end = 1, int(protocol.close_rcvd.code), answer, protocol.close_rcvd.reason
    elif protocol.close_sent is not None:
        end = 2, int(protocol.close_sent.code), 0, ""
    else:
        end = 3 if ends else 0, 0, 0, ""
    return messages, pongs, final, end


NUMBER = struct.Struct("!I")


def main():
    source, sink = sys.stdin.buffer, sys.stdout.buffer

    def number():
        return NUMBER.unpack(source.read(4))[0]

    def say(*values):
        for value in values:
            if isinstance(value, int):
                sink.write(NUMBER.pack(value))
            else:
                sink.write(NUMBER.pack(len(value)))
                sink.write(value)

    while head := source.read(3):
        limit = number()
        reads = [source.read(number()) for _ in range(number())]
        try:
            messages, pongs, final, end = judge(*head, limit, reads)
        except Exception as error:  # noqa: BLE001: whatever it is, the other side is told
            messages, pongs, final, end = [], [], 0, (4, 0, 0, repr(error))
        say(len(messages))
        for kind, data in messages:
            say(int(kind == Opcode.TEXT), data)
        say(len(pongs), *pongs)
        say(final, *end[:3], end[3].encode())
        sink.flush()


if __name__ == "__main__":
    assert websockets.__version__ == "17.4", websockets.__version__
    logging.disable()
    main()
