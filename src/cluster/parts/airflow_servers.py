"""Airflow's four servers as one process.

    airflow_servers.py prepare    makes Airflow's database, or brings it up to this version
    airflow_servers.py run        runs the servers until SIGTERM, or until one of them ends

None of them outlives `run`, however it ends, nor does anything that they started: tasks have sessions of their own, which a signal
to a process group does not reach. Two processes hold that, each of which adopts what loses its parent below it: `run`, which whoever
started it knows, and a keeper between it and the servers. When one of the two is killed, the other kills all the rest.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

SERVERS = {
    "api-server": [],
    # Whoever shows tasks' logs reads them from the disk: there is one machine.
    "scheduler": ["--skip-serve-logs"],
    "dag-processor": [],
    "triggerer": ["--skip-serve-logs"],
}
DATABASE = "airflow"

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
STOP = {signal.SIGTERM, signal.SIGINT}
ORPHANED = signal.SIGHUP
# Told to stop, a server lets go of what it does; then its tasks get a moment; what is left is killed.
SERVER_SECONDS = 15
TASK_SECONDS = 5
KEEPER_SECONDS = SERVER_SECONDS + TASK_SECONDS + 10
LOOK_SECONDS = 0.1


def prepare() -> None:
    with connected("postgres") as cursor:
        cursor.execute("select 1 from pg_database where datname = %s", (DATABASE,))
        if cursor.fetchone() is None:
            cursor.execute(f"create database {DATABASE}")
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True)
    # A scheduler that was killed counts as running until others have missed it for minutes, and its tasks wait for that. Here is no other.
    with connected(DATABASE) as cursor:
        cursor.execute("update job set state = 'failed', end_date = now() where job_type = 'SchedulerJob' and state = 'running'")


@contextmanager
def connected(database: str):
    import psycopg2

    # By the variables that PostgreSQL's own clients know.
    connection = psycopg2.connect(dbname=database, connect_timeout=10)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def run() -> int:
    return hold([[__file__, "keep", str(os.getpid())]], KEEPER_SECONDS)


def keep(parent: int) -> int:
    prctl(PR_SET_PDEATHSIG, ORPHANED)
    if os.getppid() != parent:
        return 1
    return hold([["-m", "airflow", name, *options] for name, options in SERVERS.items()], SERVER_SECONDS)


def hold(programs: list[list[str]], stop_seconds: float) -> int:
    """Runs Python programs until one ends or a signal comes, then ends all below this process. 0 where it was asked to."""
    awaited = STOP | {ORPHANED, signal.SIGCHLD}
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    children = {os.posix_spawn(sys.executable, [sys.executable, *program], os.environ, setsigmask=[]) for program in programs}
    received = signal.SIGCHLD
    while received == signal.SIGCHLD and not children & collect():
        received = signal.sigwait(awaited)
    if received in STOP:
        end(children, stop_seconds)
        end(descendants(), TASK_SECONDS)
    while left := descendants():
        send(left, signal.SIGKILL)
        collect()
        time.sleep(LOOK_SECONDS)
    return 0 if received in STOP else 1


def end(pids: set[int], seconds: float) -> None:
    """Asks them to end, and waits until all of them have, or for so long."""
    send(pids, signal.SIGTERM)
    give_up_at = time.monotonic() + seconds
    while pids & descendants() and time.monotonic() < give_up_at:
        collect()
        time.sleep(LOOK_SECONDS)


def send(pids: set[int], signal_number: signal.Signals) -> None:
    for pid in pids & descendants():
        try:
            os.kill(pid, signal_number)
        except ProcessLookupError:
            pass


def collect() -> set[int]:
    """Those children, adopted ones included, that have ended since."""
    ended = set()
    try:
        while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            ended.add(pid)
    except ChildProcessError:
        pass
    return ended


def descendants() -> set[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # Behind the name in brackets: state, parent.
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            pass
    found: set[int] = set()
    level = {os.getpid()}
    while level:
        level = {pid for pid, parent in parents.items() if parent in level}
        found |= level
    return found


def prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["prepare"]:
            prepare()
        case ["run"]:
            sys.exit(run())
        case ["keep", parent]:
            sys.exit(keep(int(parent)))
        case _:
            sys.exit(__doc__)
