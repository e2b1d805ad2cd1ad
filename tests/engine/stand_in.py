"""A program that looks like a role of IoTDB from outside: its main class among its arguments, its ports open.

``python stand_in.py MAIN -DHOME=<home>`` listens on the ports that the home is configured for until SIGTERM. It ends at
once, as a server that cannot use its metadata does, where that holds a file called ``do-not-start``.
"""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

LIFE_SECONDS = 180


def main() -> int:
    """Listen, or refuse to."""
    home = Path(sys.argv[2].partition("=")[2])
    prefix = "cn_" if "confignode" in sys.argv[1] else "dn_"
    system = home / "data" / ("confignode" if prefix == "cn_" else "datanode") / "system"
    if not system.is_dir() or (system / "do-not-start").exists():
        return 1
    lines = (home / "conf" / "iotdb-system.properties").read_text().splitlines()
    pairs = dict(line.split("=", 1) for line in lines if "=" in line)
    sockets = []
    for name, value in pairs.items():
        if name.startswith(prefix) and name.endswith("_port"):
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("0.0.0.0", int(value)))
            listener.listen()
            sockets.append(listener)
    signal.alarm(LIFE_SECONDS)
    signal.sigwait([signal.SIGTERM, signal.SIGALRM])
    return 0


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGALRM])
    sys.exit(main())
