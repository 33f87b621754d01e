"""Uses the catalog as a PyIceberg user would. Runs the named cases in order; prints their results as one JSON object.

Usage: pyiceberg_client.py URL CASE...
"""

import json
import sys
from datetime import date
from decimal import Decimal

import pyarrow as pa
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceNotEmptyError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import StaticTable
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import DateType, DecimalType, ListType, LongType, NestedField, StringType, StructType

ARROW_SCHEMA = pa.schema([("coin", pa.string()), ("price", pa.decimal128(38, 18)), ("price_date", pa.date32())])


def rows(*values):
    columns = list(zip(*values, strict=True))
    return pa.table(
        [pa.array(column, type=field.type) for column, field in zip(columns, ARROW_SCHEMA, strict=True)],
        schema=ARROW_SCHEMA,
    )


def read(table, snapshot_id=None):
    result = table.scan(snapshot_id=snapshot_id).to_arrow().to_pylist()
    return sorted([row["coin"], format(row["price"], "f"), str(row["price_date"])] for row in result)


def life_of_a_table(catalog):
    """Create, append twice, read head and an older snapshot, evolve, rename, list, drop."""
    catalog.create_namespace("pyiceberg", {"owner": "test"})
    schema = Schema(
        NestedField(1, "coin", StringType(), required=False),
        NestedField(2, "price", DecimalType(38, 18), required=False),
        NestedField(3, "price_date", DateType(), required=False),
    )
    spec = PartitionSpec(PartitionField(source_id=3, field_id=1000, transform=IdentityTransform(), name="price_date"))
    table = catalog.create_table("pyiceberg.prices", schema, partition_spec=spec, properties={"owner": "test"})
    table.append(rows(("bitcoin", Decimal("0.000000001"), date(2025, 10, 10))))
    first = table.current_snapshot().snapshot_id
    table.append(rows(("ether", Decimal("1000000"), date(2025, 10, 11))))
    table = catalog.load_table("pyiceberg.prices")
    result = {"head": read(table), "older": read(table, first), "properties": dict(table.properties)}
    with table.update_schema() as update:
        update.add_column("note", StringType())
    with table.update_spec() as update:
        update.add_field("coin", "bucket[4]", "coin_bucket")
    table.manage_snapshots().create_tag(first, "first").commit()
    table.delete("coin = 'bitcoin'")
    catalog.rename_table("pyiceberg.prices", "pyiceberg.renamed")
    renamed = catalog.load_table("pyiceberg.renamed")
    result |= {
        "after_delete": read(renamed),
        "at_tag": read(renamed, renamed.snapshot_by_name("first").snapshot_id),
        "columns": renamed.schema().column_names,
        "tables": [list(name) for name in catalog.list_tables("pyiceberg")],
        "exists": [catalog.table_exists("pyiceberg.prices"), catalog.table_exists("pyiceberg.renamed")],
    }
    return result


def errors(catalog):
    """The PyIceberg error types of the catalog's error responses."""
    result = []
    for attempt in (
        lambda: catalog.load_table("pyiceberg.nothing"),
        lambda: catalog.create_table("pyiceberg.renamed", Schema()),
        lambda: catalog.drop_namespace("pyiceberg"),
    ):
        try:
            attempt()
            result.append("no error")
        except (NoSuchTableError, TableAlreadyExistsError, NamespaceNotEmptyError) as error:
            result.append(type(error).__name__)
    stale = catalog.load_table("pyiceberg.renamed")
    catalog.load_table("pyiceberg.renamed").update_schema().add_column("winner", StringType()).commit()
    try:
        stale.update_schema().add_column("loser", StringType()).commit()
        result.append("no error")
    except CommitFailedException as error:
        result.append(type(error).__name__)
    return result


def nested_types(catalog):
    """The catalog assigns field ids to nested columns, and the reader finds them."""
    schema = Schema(
        NestedField(10, "id", LongType(), required=True),
        NestedField(
            20,
            "places",
            ListType(30, StructType(NestedField(40, "name", StringType(), required=False)), False),
            required=False,
        ),
        identifier_field_ids=[10],
    )
    table = catalog.create_table("pyiceberg.nested", schema)
    table.append(
        pa.Table.from_pylist([{"id": 1, "places": [{"name": "a"}, {"name": "b"}]}], schema=table.schema().as_arrow())
    )
    return {"location": table.location(), "rows": catalog.load_table("pyiceberg.nested").scan().to_arrow().to_pylist()}


def purge(catalog):
    catalog.purge_table("pyiceberg.nested")
    return [list(name) for name in catalog.list_tables("pyiceberg")]


def staged(catalog):
    """Create and fill a table in one transaction."""
    with catalog.create_table_transaction("pyiceberg.staged", ARROW_SCHEMA) as transaction:
        transaction.append(rows(("tether", Decimal("1"), date(2025, 10, 12))))
    return read(catalog.load_table("pyiceberg.staged"))


def read_by_duckdb_written(catalog):
    """Read a table of another engine at every snapshot, and append to it."""
    table = catalog.load_table("duck.ticks")
    counts = [table.scan(snapshot_id=snapshot.snapshot_id).to_arrow().num_rows for snapshot in table.snapshots()]
    table.append(pa.table({"id": pa.array([1000], pa.int64()), "coin": ["from python"]}))
    return counts


def overwrite(catalog):
    """Replace all rows, then one of several rows in a file; return the rows at every snapshot, oldest first."""
    table = catalog.create_table("pyiceberg.overwritten", pa.schema([("id", pa.int64())]))
    table.append(pa.table({"id": [1, 2, 3]}))
    table.overwrite(pa.table({"id": [4, 5]}))
    table.overwrite(pa.table({"id": [40]}), overwrite_filter="id = 4")
    table = catalog.load_table("pyiceberg.overwritten")
    return [sorted(table.scan(snapshot_id=entry.snapshot_id).to_arrow()["id"].to_pylist()) for entry in table.history()]


def read_versions(catalog):
    """The row count of each snapshot of a table that DuckDB wrote, oldest first, and its parent's index in the list."""
    table = catalog.load_table("bronze.increments")
    ids = [snapshot.snapshot_id for snapshot in table.snapshots()]
    parents = [
        ids.index(snapshot.parent_snapshot_id) if snapshot.parent_snapshot_id else None
        for snapshot in table.snapshots()
    ]
    return {"rows": [table.scan(snapshot_id=id).to_arrow().num_rows for id in ids], "parents": parents}


def long_history(catalog):
    """Read a table of thousands of snapshots from its metadata file alone, and write to it."""
    table = catalog.load_table("bronze.long")
    static = StaticTable.from_metadata(table.metadata_location)
    rows = static.scan().to_arrow().num_rows
    oldest = static.scan(snapshot_id=static.history()[0].snapshot_id).to_arrow().num_rows
    table.append(pa.table({"id": pa.array([1000], pa.int64()), "note": ["from python"]}))
    again = StaticTable.from_metadata(catalog.load_table("bronze.long").metadata_location)
    return {
        "snapshots": len(static.snapshots()),
        "rows": rows,
        "oldest": oldest,
        "after": again.scan().to_arrow().num_rows,
    }


def main():
    url, *cases = sys.argv[1:]
    catalog = load_catalog("lake", type="rest", uri=url)
    print(json.dumps({case: globals()[case](catalog) for case in cases}))


main()
