"""A long-lived dbt process: parses the project once, then runs commands that arrive as lines of JSON on standard input.
Arguments: the project's folder, and the file that stores the parsed project for the next process.

    -> {"args": ["run"]}
    <- {"ready": true, "seconds": 3.1}                          once, when the project is parsed
    <- {"finished": "stg_crypto__elements"}                     when each node finishes
    <- {"success": true, "seconds": 0.9, "cpu_seconds": 0.7, "error": null, "rss_bytes": 250000000,
        "nodes": [{"name": ..., "status": ..., "seconds": ..., ...}]}
       and, after a command that lists nodes as JSON: "listed": [{"schema": ..., "alias": ...}]; after a compilation:
       "relations": [{"name": ..., "relation": ..., "kind": ..., "columns": ..., "sql": ...}]

Standard output is reserved for the protocol; dbt's output goes to standard error. When standard input ends, the process
exits at once, even during a command: its parent has exited, and every table's commit is atomic.
"""

import copy
import ctypes
import json
import os
import queue
import shutil
import signal
import sys
import threading
import time

protocol = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
os.dup2(2, 1)
sys.stdout = sys.stderr


def send(message):
    protocol.write(json.dumps(message) + "\n")


def read_commands(commands):
    for line in sys.stdin:
        commands.put(json.loads(line))
    os._exit(0)


def describe(result):
    return {
        "name": result.node.name,
        "kind": str(result.node.resource_type),
        "status": str(result.status),
        "seconds": round(result.execution_time, 3),
        "message": result.message,
        "failures": result.failures,
    }


def columns_of(node):
    """Names and types from the documentation; a seed's types come from its configuration."""
    types = {name: column.data_type for name, column in node.columns.items()}
    types.update(getattr(node.config, "column_types", None) or {})
    return [{"name": name, "type": data_type} for name, data_type in types.items()]


def relation(node, sql=None):
    config = node.config
    return {
        "name": node.name,
        "relation": node.relation_name,
        "kind": str(node.resource_type),
        "materialized": getattr(config, "materialized", None),
        "unique_key": config.get("unique_key") or [],
        "replace_on": config.get("replace_on"),
        "helper_columns": config.get("helper_columns") or [],
        "columns": columns_of(node),
        "sql": sql,
    }


def relations(manifest, results):
    """The relations of the project: sources and seeds by name, models with their compiled SQL."""
    models = [
        relation(result.node, result.node.compiled_code) for result in results if result.node.resource_type == "model"
    ]
    seeds = [relation(node) for node in manifest.nodes.values() if node.resource_type == "seed"]
    return [*map(relation, manifest.sources.values()), *seeds, *models]


def json_lines(lines):
    """The output of `ls`, whose lines are JSON."""
    return [json.loads(line) for line in lines]


def forget_places():
    """
    Hides the catalog's address and the spill folder from dbt: they do not affect parsing, but dbt would parse again
    when they change.
    """
    try:
        from dbt.adapters.duckdb.credentials import DuckDBCredentials
    except ModuleNotFoundError:
        # Spark's dbt, whose profile has neither.
        return
    known = DuckDBCredentials._connection_keys
    DuckDBCredentials._connection_keys = lambda self: tuple(
        key for key in known(self) if key not in ("attach", "config_options")
    )


def verify_extensions_once():
    """
    Limits signature checks of DuckDB's extensions to the first opening of this process, or none if an earlier process
    has checked them. A check reads 85 MB and takes 0.5 s of CPU at each opening. Later openings allow only signed
    extensions as soon as these are loaded.
    """
    try:
        from dbt.adapters.duckdb.environments import Environment
    except ModuleNotFoundError:
        # Spark's dbt, which loads no extensions.
        return
    initialize = Environment.initialize_db.__func__
    is_verified = os.environ.get("COINLAKE_DUCKDB_EXTENSIONS_VERIFIED") == "true"

    def initialize_db(cls, creds, plugins=None):
        nonlocal is_verified
        if is_verified:
            creds = copy.copy(creds)
            creds.config_options = {**(creds.config_options or {}), "allow_unsigned_extensions": "true"}
        connection = initialize(cls, creds, plugins)
        connection.execute("SET GLOBAL allow_unsigned_extensions = false")
        is_verified = True
        return connection

    Environment.initialize_db = classmethod(initialize_db)


def keep_parsed(kept):
    """Stores the parsed project, which is the same for every lake, and saves the next process most of its start."""
    parsed = os.path.join(os.environ["DBT_TARGET_PATH"], "partial_parse.msgpack")
    # dbt writes the file only after a change, and checks it against the project's files when it reads it.
    if not os.path.exists(parsed) or (os.path.exists(kept) and os.path.getmtime(kept) >= os.path.getmtime(parsed)):
        return
    unfinished = f"{kept}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        shutil.copyfile(parsed, unfinished)
        os.replace(unfinished, kept)
    except OSError as error:
        # The tools' folder is not writable; the next process parses again.
        print(f"what dbt parsed is not kept: {error}", file=sys.stderr)


def drop_unread_events():
    """
    Drops events that nobody reads. dbt builds every event twice, as a message and as a record for loggers; this process
    has no logger, and reads only one kind of event.
    """
    from dbt_common.events.base_types import EventLevel
    from dbt_common.events.event_manager import EventManager

    fire = EventManager.fire_event

    def fire_read(self, e, level=None, node=None, force_warn_or_error_handling=False):
        is_quiet = (level or e.level_tag()) in (EventLevel.DEBUG, EventLevel.TEST, EventLevel.INFO)
        if is_quiet and not force_warn_or_error_handling and not self.loggers and type(e).__name__ != "NodeFinished":
            return
        fire(self, e, level, node, force_warn_or_error_handling)

    EventManager.fire_event = fire_read


# The templates of a project, with the arguments of its tests, are about 500.
TEMPLATES_MAX = 2_000


def render_cheaply():
    """
    Saves half the CPU of a compilation, and a quarter of that of the tests. For each argument of a test, dbt copies its
    context, with an object for each macro; now it reads the context in place, as it does for all other templates. A
    template is compiled once per process in place of once per command: its source and the class of its environment
    determine the result. And dbt names the module of a behavior flag by parsing the sources of all its callers, for
    events that nobody reads.
    """
    from dbt_common.behavior_flags import BehaviorFlagRendered
    from dbt_common.clients import jinja

    jinja.NativeSandboxTemplate.new_context = jinja.MacroFuzzTemplate.new_context
    BehaviorFlagRendered._default_source = staticmethod(lambda: "dbt.adapters")
    environment = jinja.MacroFuzzEnvironment
    compile_template = environment.compile
    compiled = {}

    def compile_once(self, source, *args, **kwargs):
        if args or kwargs or not isinstance(source, str):
            return compile_template(self, source, *args, **kwargs)
        key = (type(self), source)
        code = compiled.get(key)
        if code is None:
            if len(compiled) >= TEMPLATES_MAX:
                compiled.clear()
            code = compiled[key] = compile_template(self, source)
        return code

    environment.compile = compile_once


def close_engine():
    """
    Closes DuckDB's instance and returns free memory to the system; the next command opens another instance in about
    50 ms. An instance that writes Iceberg tables retains about 0.5 MB per run, and leaves as much again in fragments of
    the heap.
    """
    connections = sys.modules.get("dbt.adapters.duckdb.connections")
    if connections is None:
        return
    manager = connections.DuckDBConnectionManager
    with manager._LOCK:
        if manager._ENV is not None:
            manager._ENV.close()
            manager._ENV = None
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    # Only glibc has it.
    if trim is not None:
        trim(0)


def rss_bytes():
    """The resident memory of this process; None where the system has no /proc."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def leave_session():
    """Leaves the failed session, which a restarted Spark does not know; the next command opens another."""
    connect = sys.modules.get("pyspark.sql.connect.session")
    session = connect and connect.SparkSession._get_default_session()
    if session:
        # Spark may be gone, so no request is sent.
        session.release_session_on_close = False
        session.stop()


def main():
    # The parent handles Ctrl-C, and lets the running command finish.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    commands = queue.Queue()
    threading.Thread(target=read_commands, args=(commands,), daemon=True).start()
    started = time.monotonic()
    from dbt.cli.main import dbtRunner

    forget_places()
    verify_extensions_once()
    drop_unread_events()
    render_cheaply()
    project, kept = sys.argv[1:]
    common = ["--project-dir", project, "--log-level", "none", "--no-use-colors"]
    parsed = dbtRunner().invoke(
        ["parse", "--no-write-json", *common, *(["--partial-parse-file-path", kept] if os.path.exists(kept) else [])]
    )
    if not parsed.success:
        send({"ready": False, "error": str(parsed.exception)})
        return 1
    keep_parsed(kept)
    send({"ready": True, "seconds": round(time.monotonic() - started, 3)})

    while True:
        command = commands.get()
        started = time.monotonic()
        started_cpu = time.process_time()

        def report(event):
            if event.info.name == "NodeFinished":
                send({"finished": event.data.node_info.node_name})

        runner = dbtRunner(manifest=parsed.result, callbacks=[report])
        outcome = runner.invoke([*command["args"], *common])
        if not outcome.success:
            leave_session()
        results = getattr(outcome.result, "results", None) or []
        answer = {
            "success": outcome.success,
            "seconds": round(time.monotonic() - started, 3),
            "error": str(outcome.exception) if outcome.exception else None,
            "nodes": [describe(result) for result in results if hasattr(result, "node")],
        }
        if command["args"][0] == "compile":
            answer["relations"] = relations(parsed.result, results)
        if command["args"][0] == "ls" and outcome.success:
            answer["listed"] = json_lines(outcome.result)
        # Frees the results before the memory is measured.
        del runner, outcome, results
        close_engine()
        answer["cpu_seconds"] = round(time.process_time() - started_cpu, 3)
        answer["rss_bytes"] = rss_bytes()
        send(answer)


if __name__ == "__main__":
    sys.exit(main())
