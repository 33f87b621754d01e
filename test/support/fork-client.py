"""Represents a script that fork-server.py runs: passes the standard file descriptors on, and exits as the script does.
Arguments: the Python to run the script with if no server can, the socket, the script and its arguments.
"""

import json
import os
import signal
import socket
import struct
import sys

# Tests find processes by the first variable, and give them another clock by the others.
OWN_PROCESS = ("COINLAKE_TEST_OWN_PYTHON", "COINLAKE_TEST_MARK", "LD_PRELOAD", "FAKETIME")


def needs_own_process(server):
    """A fork has the server's clock, user and file systems, and is not traced with its client."""
    if any(name in os.environ for name in OWN_PROCESS):
        return True
    pid, uid, _ = struct.unpack("3i", server.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid != os.getuid() or os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt"):
        return True
    with open("/proc/self/status", encoding="ascii") as status:
        return any(line.startswith("TracerPid:") and line.split()[1] != "0" for line in status)


python, path, *command = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
try:
    server.connect(path)
    is_own = needs_own_process(server)
except OSError:
    is_own = True
if is_own:
    os.execv(python, [python, *command])
# The script decides how it ends after Ctrl-C.
signal.signal(signal.SIGINT, signal.SIG_IGN)
script, *args = command
request = {
    "script": script,
    "args": args,
    "env": dict(os.environ),
    "folder": os.getcwd(),
    "priority": os.getpriority(os.PRIO_PROCESS, 0),
}
socket.send_fds(server, [b" "], [0, 1, 2])
server.sendall(json.dumps(request).encode() + b"\n")
# Only the script holds its standard input and output, so that each of them ends with it.
null = os.open(os.devnull, os.O_RDWR)
for descriptor in (0, 1, 2):
    os.dup2(null, descriptor)
status = int(server.recv(16) or b"1")
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
