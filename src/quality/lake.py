"""The lake as a data source of Great Expectations: tables pinned to snapshots, and one batch of one table at a time."""

import logging

import great_expectations.execution_engine.sqlalchemy_execution_engine as gx_sql

SOURCE = "lake"
BATCH = "batch"
LAYERS = ("bronze", "silver", "gold")


class _Dialect(str):
    """Great Expectations compares dialects by name, and takes the name from `value`."""

    @property
    def value(self):
        return str(self)


# Great Expectations reads results after it has released the connection, unless the dialect is listed here. DuckDB's
# results are invalid by then. No setting controls this.
gx_sql._PERSISTED_CONNECTION_DIALECTS += (_Dialect("duckdb"),)
# Suppresses a warning for each figure that Data Docs show as a float; only Data Docs do.
logging.getLogger("great_expectations").setLevel(logging.ERROR)


def quoted(text):
    return "'" + str(text).replace("'", "''") + "'"


def open_lake(context, plan):
    """Opens an in-memory DuckDB in which `silver.t` is the lake's table at the plan's snapshot; returns its engine."""
    source = context.data_sources.add_sql(SOURCE, connection_string="duckdb:///:memory:lake", create_temp_table=False)
    engine = source.get_execution_engine()
    run = lambda sql: execute(engine, sql)  # noqa: E731
    for name, value in plan["settings"].items():
        run(f"set global {name} = {quoted(value)}")
    if not plan["has_extensions"]:
        run("install avro; install httpfs; install iceberg")
    run("load avro; load httpfs; load iceberg; set global timezone = 'UTC'")
    if plan["s3"] is not None:
        open_s3(run, plan["s3"])
        for name, value in plan["s3_retries"].items():
            run(f"set global {name} = {quoted(value)}")
    authorization = "authorization_type 'none'"
    if plan["catalog_token"] is not None:
        run(f"create secret coinlake_catalog (type iceberg, token {quoted(plan['catalog_token'])})")
        authorization = "authorization_type 'oauth2', secret coinlake_catalog"
    endpoint = f"endpoint {quoted(plan['catalog_url'])}"
    run(
        f"attach 'coinlake' as catalog (type iceberg, {endpoint}, {authorization}, "
        "access_delegation_mode 'none', read_only)"
    )
    for layer in LAYERS:
        run(f"create schema {layer}")
    for table in plan["tables"]:
        state = "where false" if table["snapshot_id"] is None else f"at (version => {int(table['snapshot_id'])})"
        run(f"create view {table['name']} as from catalog.{table['name']} {state}")
    return engine


def open_s3(run, settings):
    """Applies settings of src/storage/s3/settings.ts. No error may quote the statement, which contains the keys."""
    scheme, host = settings["endpoint"].split("://", 1)
    options = {
        "key_id": settings["access_key_id"],
        "secret": settings["secret_access_key"],
        "session_token": settings["session_token"],
        "region": settings["region"],
        "endpoint": host,
        "url_style": "path",
        "use_ssl": str(scheme == "https").lower(),
    }
    given = ", ".join(f"{name} {quoted(value)}" for name, value in options.items() if value is not None)
    try:
        run(f"create secret (type s3, {given})")
    except Exception as error:
        raise RuntimeError(f"DuckDB does not take the settings of S3 ({type(error).__name__})") from None


def load_batch(engine, batch):
    """Loads the batch into the table `batch`, replacing the previous one; returns the number of its rows."""
    execute(engine, f"create or replace table {BATCH} as from {batch['table']} where {batch['condition']}")
    return execute(engine, f"select count(*) from {BATCH}")[0][0]


def sample(engine, sql, limit):
    return [dict(row) for row in execute(engine, f"select * from ({sql}) limit {limit}", as_mappings=True)]


def execute(engine, sql, as_mappings=False):
    """Returns the rows, if any. Commits at once, because Great Expectations uses a separate connection."""
    with engine.get_connection() as connection:
        result = connection.exec_driver_sql(sql)
        rows = (result.mappings() if as_mappings else result).fetchall() if result.returns_rows else []
        connection.commit()
    return rows
