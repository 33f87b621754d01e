"""Validates tables of the lake with Great Expectations, once.

Standard input has the plan as a line of JSON. The output is a line of JSON for each event.

    -> {"catalog_url": ..., "tables": [{"name": "silver.t", "snapshot_id": "1"}],
        "batches": [{"table": "silver.t", ...}], ...}
    <- {"checked": {"table": "silver.t", "part": "2025-10-10", "rows": 1, "expectations": [...]}}   a batch at a time
    <- {"documented": true}                                                                       once, at the end
       {"broken": "..."}                                                                      an unreadable suite

Reads the lake only. DuckDB holds one batch at a time, one day of one table, and spills to disk beyond its memory limit.
Every expectation is SQL over the batch, so prices are compared as exact decimals. Standard output is reserved for the
protocol; output of libraries goes to standard error. The process exits when standard input ends, because its parent has
then ended.
"""

import importlib.util
import json
import os
import sys
import threading
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

protocol = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
os.dup2(2, 1)
sys.stdout = sys.stderr
# Set before the import: disables usage statistics.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

import data_docs  # noqa: E402
import great_expectations as gx  # noqa: E402
from great_expectations.core.run_identifier import RunIdentifier  # noqa: E402

import lake  # noqa: E402

SAMPLE_ROWS = 3
SAMPLE_CHARACTERS = 300


class BrokenSuite(Exception):
    """An invalid suite, which its author must correct."""


def send(message):
    protocol.write(json.dumps(message) + "\n")


def suite_of(folder, table):
    """The expectation suite of the table, from `quality/<pipeline>/<layer>/<table>.py`."""
    file = Path(folder, *table.split(".")).with_suffix(".py")
    spec = importlib.util.spec_from_file_location(f"suite_of_{table.replace('.', '_')}", file)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise BrokenSuite(f"{file} cannot be read: {type(error).__name__}: {error}") from error
    if getattr(getattr(module, "suite", None), "name", None) != table:
        raise BrokenSuite(f'{file} is to define `suite`, an ExpectationSuite named "{table}"')
    return module.suite


def short(value):
    """Formats a value for people: decimals without an exponent, times in UTC."""
    if isinstance(value, Decimal):
        value = f"{value:f}".rstrip("0").rstrip(".") if value.as_tuple().exponent < 0 else f"{value:f}"
    if isinstance(value, datetime):
        value = value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z") if value.tzinfo else value.isoformat()
    if isinstance(value, dict):
        value = ", ".join(f"{name}={short(part)}" for name, part in value.items())
    if isinstance(value, (list, tuple)):
        value = ", ".join(short(part) for part in value)
    text = str(value)
    return text if len(text) <= SAMPLE_CHARACTERS else f"{text[:SAMPLE_CHARACTERS]}…"


def error_of(exceptions):
    """Great Expectations reports one exception, or one for each metric that it could not compute."""
    found = [exceptions] if "raised_exception" in exceptions else list(exceptions.values())
    messages = [str(one.get("exception_message")) for one in found if one.get("raised_exception")]
    return short(messages[0]) if messages else None


def describe(result, engine):
    config, found = result.expectation_config, result.result
    columns = [
        config.kwargs[key] for key in ("column", "column_A", "column_B", "column_list") if config.kwargs.get(key)
    ]
    query = config.kwargs.get("unexpected_rows_query")
    sample = found.get("partial_unexpected_list") or []
    unexpected = found.get("unexpected_count")
    if query is not None and not result.success and found:
        unexpected = found["observed_value"]
        sample = lake.sample(engine, query.format(batch=lake.BATCH), SAMPLE_ROWS)
    observed = None if query is not None else found.get("observed_value")
    return {
        "type": config.type,
        "columns": [name for entry in columns for name in ([entry] if isinstance(entry, str) else entry)],
        "description": config.description,
        "severity": config.severity.value,
        "is_met": bool(result.success),
        "observed": None if observed is None else short(observed),
        "unexpected_rows": unexpected,
        "sample": [short(value) for value in sample[:SAMPLE_ROWS]],
        "error": error_of(result.exception_info),
    }


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def check(context, engine, suite, batch, checked_at):
    """Loads one batch, validates it with its suite and prints the result."""
    rows = lake.load_batch(engine, batch)
    table = batch["table"]
    source = context.data_sources.get(lake.SOURCE)
    definition = gx.ValidationDefinition(
        name=table,
        suite=suite,
        data=source.add_table_asset(table, table_name=lake.BATCH).add_batch_definition_whole_table("whole"),
    )
    result = context.validation_definitions.add(definition).run(
        result_format={"result_format": "SUMMARY", "partial_unexpected_count": SAMPLE_ROWS},
        expectation_parameters={"fresh_after": moment(batch["fresh_after"])},
        run_id=RunIdentifier(run_name=batch["part"], run_time=checked_at),
    )
    send(
        {
            "checked": {
                "table": table,
                "part": batch["part"],
                "rows": rows,
                "expectations": [describe(one, engine) for one in result.results],
            }
        }
    )
    # The next batch of the table reuses the name.
    context.validation_definitions.delete(table)
    source.delete_asset(table)


def end_with_parent():
    while os.read(0, 1):
        pass
    os._exit(1)


def main():
    plan = json.loads(sys.stdin.readline())
    threading.Thread(target=end_with_parent, daemon=True).start()
    # The pipeline and the server have priority.
    if hasattr(os, "nice"):
        os.nice(10)
    # Suites import what they share: from the pipeline's folder, or from the folder of all pipelines.
    sys.path += [plan["suites"], os.path.dirname(plan["suites"])]
    context = gx.get_context(mode="ephemeral", project_config=data_docs.context_config(plan["folder"], plan["lake"]))
    engine = lake.open_lake(context, plan)
    try:
        suites = {
            table: context.suites.add(suite_of(plan["suites"], table))
            for table in dict.fromkeys(batch["table"] for batch in plan["batches"])
        }
    except BrokenSuite as error:
        send({"broken": str(error)})
        return
    for batch in plan["batches"]:
        check(context, engine, suites[batch["table"]], batch, moment(plan["checked_at"]))
    data_docs.write(context, plan["folder"], plan["kept_runs"])
    send({"documented": True})


if __name__ == "__main__":
    main()
