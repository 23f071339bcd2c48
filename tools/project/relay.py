"""Relay: run a command whose only way out is one socket of the host's; standard library of Python 3.6 alone.

Runs inside the walls as `python -I -S relay.py SOCKET COMMAND...`. What connects to the relay's port on the
sandbox's own loopback is passed on to SOCKET; `{index}` in the environment becomes that port's address.
"""

import os
import socket
import subprocess
import sys
import threading


def pump(source, target):
    try:
        while True:
            data = source.recv(1 << 16)
            if not data:
                break
            target.sendall(data)
    except OSError:
        pass
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(listener, path):
    while True:
        inner, _ = listener.accept()
        outer = socket.socket(socket.AF_UNIX)
        try:
            outer.connect(path)
        except OSError:
            inner.close()
            continue
        for pair in ((inner, outer), (outer, inner)):
            threading.Thread(target=pump, args=pair, daemon=True).start()


def main():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    address = "http://127.0.0.1:{}".format(listener.getsockname()[1])
    env = {name: value.replace("{index}", address) for name, value in os.environ.items()}
    threading.Thread(target=serve, args=(listener, sys.argv[1]), daemon=True).start()
    code = subprocess.call(sys.argv[2:], env=env)
    sys.stdout.flush()
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
