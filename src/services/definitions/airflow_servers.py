"""Airflow's four servers as one process.

    airflow_servers.py prepare    makes Airflow's database, or brings it up to this version
    airflow_servers.py run        runs the servers until SIGTERM, and starts one that ends again

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
from collections.abc import Iterable
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
AWAITED = STOP | {ORPHANED, signal.SIGCHLD}
# Told to stop, a server lets go of what it does; then its tasks get a moment; what is left is killed.
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

    # By the variables that PostgreSQL's own clients know.
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
    """Becomes the server, once the database answers: without it Airflow's servers end, and start again in vain."""
    import psycopg2

    while True:
        try:
            with connected(DATABASE) as cursor:
                # One that was killed counts as running until others have missed it for minutes, and its tasks wait for that. Here is no other.
                if name == "scheduler":
                    cursor.execute("update job set state = 'failed', end_date = now() where job_type = 'SchedulerJob' and state = 'running'")
            break
        except psycopg2.OperationalError as error:
            print(f"{name} waits for its database: {error}", flush=True)
            time.sleep(RESTART_SECONDS)
    os.execv(sys.executable, [sys.executable, "-m", "airflow", name, *SERVERS[name]])


def hold(programs: list[list[str]], stop_seconds: float, is_restarting: bool) -> int:
    """Runs Python programs until a signal comes, or one that is not restarted ends; then ends all below this process. 0 where it was asked to."""
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
            # What it had begun would go on beside what is begun anew.
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
    """Kills all below this process but these and what is below them, and waits until they have ended."""
    while left := descendants() - kept - descendants(kept):
        send(left, signal.SIGKILL)
        # Of those that are kept none, so that nobody misses their end.
        collect(left)
        time.sleep(LOOK_SECONDS)


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


def collect(pids: Iterable[int] = (-1,)) -> set[int]:
    """Those of these children, by default of all, adopted ones included, that have ended since."""
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
        try:
            # Behind the name in brackets: state, parent.
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            pass
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
