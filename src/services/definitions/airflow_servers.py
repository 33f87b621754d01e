"""Airflow's four servers as one process.

    airflow_servers.py prepare    makes Airflow's database, or brings it up to this version
    airflow_servers.py run        runs the servers until SIGTERM, and restarts a server that ends

No server and no descendant of a server outlives `run`, however it ends. A signal to a process group does not suffice,
because every task has a separate session. Two processes therefore adopt orphaned descendants (PR_SET_CHILD_SUBREAPER):
`run`, whose id the caller knows, and a keeper between `run` and the servers. When one of the two is killed, the other
kills all remaining processes.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from pathlib import Path

SERVERS = {
    "api-server": [],
    # No log server: on one machine, task logs are read from the disk.
    "scheduler": ["--skip-serve-logs"],
    "dag-processor": [],
    "triggerer": ["--skip-serve-logs"],
}
DATABASE = "airflow"

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
STOP = {signal.SIGTERM, signal.SIGINT}
ORPHANED = signal.SIGHUP
AWAITED = STOP | {ORPHANED, signal.SIGCHLD}
# Limits of a stop: first for the servers, then for their tasks; remaining processes are killed.
SERVER_SECONDS = 15
TASK_SECONDS = 5
RESTART_SECONDS = 1
KEEPER_SECONDS = SERVER_SECONDS + TASK_SECONDS + 10
LOOK_SECONDS = 0.1


def prepare() -> None:
    with connected("postgres") as cursor:
        cursor.execute("select 1 from pg_database where datname = %s", (DATABASE,))
        if cursor.fetchone() is None:
            cursor.execute(f"create database {DATABASE}")
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True)


@contextmanager
def connected(database: str):
    import psycopg2

    # Host, port and user come from the variables that PostgreSQL's own clients read.
    connection = psycopg2.connect(dbname=database, connect_timeout=10)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def run() -> int:
    return hold([[__file__, "keep", str(os.getpid())]], KEEPER_SECONDS, is_restarting=False)


def keep(parent: int) -> int:
    prctl(PR_SET_PDEATHSIG, ORPHANED)
    if os.getppid() != parent:
        return 1
    return hold([[__file__, "serve", name] for name in SERVERS], SERVER_SECONDS, is_restarting=True)


def serve(name: str) -> None:
    """Replaces this process by the server once the database answers; without it the server would exit at once."""
    import psycopg2

    while True:
        try:
            with connected(DATABASE) as cursor:
                # Airflow would count a killed scheduler as running for minutes, and its tasks would wait. No other
                # scheduler exists here.
                if name == "scheduler":
                    cursor.execute(
                        "update job set state = 'failed', end_date = now() "
                        "where job_type = 'SchedulerJob' and state = 'running'"
                    )
            break
        except psycopg2.OperationalError as error:
            print(f"{name} waits for its database: {error}", flush=True)
            time.sleep(RESTART_SECONDS)
    os.execv(sys.executable, [sys.executable, "-m", "airflow", name, *SERVERS[name]])


def hold(programs: list[list[str]], stop_seconds: float, is_restarting: bool) -> int:
    """Runs Python programs until a signal, or until one ends without restart; then ends all descendants.

    Returns 0 after SIGTERM or SIGINT, else 1.
    """
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
    running = {start(program): program for program in programs}
    received = signal.SIGCHLD
    while received == signal.SIGCHLD:
        ended = [running.pop(pid) for pid in collect() if pid in running]
        if ended and not is_restarting:
            break
        for program in ended:
            print(f"{' '.join(program[1:])} ended, and is started again", flush=True)
            # Children of the ended server would otherwise run beside those of its successor.
            kill_others(set(running))
            time.sleep(RESTART_SECONDS)
            running[start(program)] = program
        received = signal.sigwait(AWAITED)
    if received in STOP:
        end(set(running), stop_seconds)
        end(descendants(), TASK_SECONDS)
    kill_others(set())
    return 0 if received in STOP else 1


def start(program: list[str]) -> int:
    return os.posix_spawn(sys.executable, [sys.executable, *program], os.environ, setsigmask=[])


def kill_others(kept: set[int]) -> None:
    """Kills all descendants of this process except `kept` and their descendants, and waits for their end."""
    while left := descendants() - kept - descendants(kept):
        send(left, signal.SIGKILL)
        # Collects only the killed ones: `hold` must see the end of the kept ones.
        collect(left)
        time.sleep(LOOK_SECONDS)


def end(pids: set[int], seconds: float) -> None:
    """Sends SIGTERM, and waits until all of them have ended, at most for `seconds`."""
    send(pids, signal.SIGTERM)
    give_up_at = time.monotonic() + seconds
    while pids & descendants() and time.monotonic() < give_up_at:
        collect()
        time.sleep(LOOK_SECONDS)


def send(pids: set[int], signal_number: signal.Signals) -> None:
    for pid in pids & descendants():
        with suppress(ProcessLookupError):
            os.kill(pid, signal_number)


def collect(pids: Iterable[int] = (-1,)) -> set[int]:
    """Reaps ended children, by default any, adopted ones included; returns their ids."""
    ended = set()
    for pid in pids:
        try:
            while (found := os.waitpid(pid, os.WNOHANG)[0]) != 0:
                ended.add(found)
        except ChildProcessError:
            pass
    return ended


def descendants(of: set[int] | None = None) -> set[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            # Fields after the name in parentheses: state, parent.
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found: set[int] = set()
    level = {os.getpid()} if of is None else of
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
        case ["serve", name]:
            serve(name)
        case _:
            sys.exit(__doc__)
