"""The client of Python's websockets. A command per line of stdin, a line of stdout in answer to each; see session.mjs."""
import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

UNIT = "a\u00e9\u20ac\U0001f600 bcd\u00e9"


def payload(kind, size):
    if kind == "text":
        return UNIT * (size // 16)
    return bytes(i % 251 for i in range(251)) * (size // 251) + bytes(range(size % 251))


class Session:
    def open(self, url):
        self.socket = connect(url, max_size=None, ping_interval=None, proxy=None)
        return "open " + self.socket.response.headers.get("Sec-WebSocket-Extensions", "-")

    def echo(self, kind, size, parts):
        pieces = [payload(kind, int(size) // int(parts))] * int(parts)
        try:
            self.socket.send(pieces[0] if len(pieces) == 1 else iter(pieces))
            answer = self.socket.recv()
        except ConnectionClosed:
            return self.ended()
        same = answer == pieces[0][:0].join(pieces)
        return "same" if same else "a %s of %d" % (type(answer).__name__, len(answer))

    def ping(self, data):
        self.socket.ping(data).wait()
        return "pong " + data

    def close(self, code="1000", *reason):
        self.socket.close(int(code), " ".join(reason))
        return self.ended()

    def wait(self):
        try:
            while True:
                self.socket.recv()
        except ConnectionClosed:
            return self.ended()

    def ended(self):
        # None when the connection ended without a close frame from either side.
        code = self.socket.close_code or 1006
        return ("closed %d %s" % (code, self.socket.close_reason or "")).rstrip()


session = Session()
for line in sys.stdin:
    command, *arguments = line.rstrip("\n").split(" ")
    try:
        print(getattr(session, command)(*arguments), flush=True)
    except Exception as error:
        print("error %s" % error, flush=True)
