"""Runs Python scripts in forks of one process that has imported dbt, which takes two seconds of CPU, once.
Argument: the path of the Unix socket.

A request is a connection of fork-client.py: the three standard file descriptors, then a line of JSON with the script,
its arguments, the environment, the folder and the client's process id. The answer is the script's exit status. The
fork ends when its client ends, and the server when its standard input ends.
"""

import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import time


def prepare():
    """Imports what every command of dbt imports, and builds the schemas of its configuration, at the first request."""
    import agate  # noqa: F401
    import dbt.cli.main  # noqa: F401
    from dbt.contracts.project import Configuration, PackageConfig, ProfileConfig, Project, ProjectFlags
    from dbt.contracts.selection import SelectorFile

    for contract in (Configuration, PackageConfig, ProfileConfig, Project, ProjectFlags, SelectorFile):
        contract.json_schema()
    # A fork has none of the other threads, such as DuckDB's, for which it would wait. Each fork imports DuckDB itself.
    assert len(os.listdir("/proc/self/task")) == 1, sorted(sys.modules)
    # Collections would copy the pages that the forks share.
    gc.freeze()


def receive(connection):
    """The request, and its standard file descriptors."""
    data, descriptors, _, _ = socket.recv_fds(connection, 65536, 3)
    while not data.endswith(b"\n"):
        more = connection.recv(65536)
        if not more:
            return None, descriptors
        data += more
    return json.loads(data), descriptors


def end_with(connection):
    """Ends this process at once when its client is gone, as if the client had been this process."""
    connection.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


def become(request, descriptors, connection):
    """Gives this fork the state that the script would have in a separate process."""
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
    kept = os.dup2(connection.fileno(), 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.chdir(request["folder"])
    os.setpriority(os.PRIO_PROCESS, 0, request["priority"])
    sys.argv = [request["script"], *request["args"]]
    sys.path[0] = os.path.dirname(request["script"])
    threading.Thread(target=end_with, args=(socket.socket(fileno=kept),), daemon=True).start()


def reap(clients):
    while clients:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        connection = clients.pop(pid)
        # The client may have ended before its fork.
        with contextlib.suppress(OSError):
            connection.sendall(b"%d" % os.waitstatus_to_exitcode(status))
        connection.close()


def serve(path):
    """Returns the script, in the fork that is to run it; None when the server ends."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer)
    clients = {}
    is_prepared = False
    while True:
        ready, _, _ = select.select([0, listener, reader], [], [])
        if 0 in ready:
            return None
        if reader in ready:
            os.read(reader, 4096)
            reap(clients)
        if listener not in ready:
            continue
        if not is_prepared:
            prepare()
            is_prepared = True
        connection, _ = listener.accept()
        request, descriptors = receive(connection)
        pid = os.fork() if request is not None else None
        if pid == 0:
            become(request, descriptors, connection)
            connection.detach()
            return request["script"]
        for descriptor in descriptors:
            os.close(descriptor)
        if pid is None:
            connection.close()
        else:
            clients[pid] = connection


script = serve(sys.argv[1])
if script is not None:
    runpy.run_path(script, run_name="__main__")
