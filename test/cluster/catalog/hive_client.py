"""Reads and writes tables through two catalogs: PyIceberg's Hive catalog, and Coinlake's REST catalog over the same
metastore. Prints the results as one JSON object.

Usage: hive_client.py REST_URL HIVE_URI; the environment has the address and credentials of S3.
"""

import json
import os
import sys
from datetime import date
from decimal import Decimal

import pyarrow as pa
from hive_metastore.ThriftHiveMetastore import Client
from hive_metastore.ttypes import GetTableRequest, GetTablesRequest
from pyiceberg.catalog import load_catalog
from pyiceberg.types import StringType

ARROW_SCHEMA = pa.schema([("coin", pa.string()), ("price", pa.decimal128(38, 18)), ("price_date", pa.date32())])


def speak_hive_4():
    """Replaces two calls of PyIceberg that Hive 4.0.1 has removed by their successors, which return the same tables."""
    Client.get_table = lambda self, dbname, tbl_name: (
        self.get_table_req(GetTableRequest(dbName=dbname, tblName=tbl_name)).table
    )
    Client.get_table_objects_by_name = lambda self, dbname, tbl_names: (
        self.get_table_objects_by_name_req(GetTablesRequest(dbName=dbname, tblNames=tbl_names)).tables
    )


def rows(*coins):
    price = Decimal("0.000000001")
    return pa.table(
        [
            pa.array(coins),
            pa.array([price] * len(coins), ARROW_SCHEMA.field("price").type),
            pa.array([date(2025, 10, 10)] * len(coins)),
        ],
        schema=ARROW_SCHEMA,
    )


def coins(catalog, name):
    return sorted(catalog.load_table(name).scan().to_arrow().column("coin").to_pylist())


def made_here(rest, hive):
    """A table of Coinlake's: written over REST, read and written by the Hive catalog, and read over REST again."""
    rest.create_namespace("ours", {"comment": "made over REST", "owner": "ana"})
    table = rest.create_table("ours.prices", ARROW_SCHEMA, properties={"gone": "soon", "kept": "yes"})
    table.append(rows("bitcoin"))
    with table.transaction() as transaction:
        transaction.remove_properties("gone")
        transaction.set_properties(noted="late")
    seen = {"by_hive": coins(hive, "ours.prices"), "namespace": hive.load_namespace_properties("ours")}
    hive.load_table("ours.prices").append(rows("ether"))
    rest.load_table("ours.prices").append(rows("tether"))
    with rest.load_table("ours.prices").update_schema() as update:
        update.add_column("note", StringType())
    seen |= {
        "by_rest": coins(rest, "ours.prices"),
        "by_hive_after": coins(hive, "ours.prices"),
        "listed": [list(name) for name in hive.list_tables("ours")],
    }
    with hive._client as client:
        found = client.get_table("ours", "prices")
    parameters = found.parameters
    metadata = hive.load_table("ours.prices")
    seen["in_hive"] = {
        "type": found.tableType,
        "columns": [[column.name, column.type] for column in found.sd.cols],
        "is_location_told": found.sd.location == metadata.location(),
        "is_pointer": parameters["metadata_location"] == metadata.metadata_location,
        "is_previous": parameters["previous_metadata_location"] == metadata.metadata.metadata_log[-1].metadata_file,
        "is_current": parameters["current-snapshot-id"] == str(metadata.current_snapshot().snapshot_id),
        "parameters": {
            name: parameters.get(name)
            for name in ["table_type", "EXTERNAL", "numRows", "kept", "gone", "noted", "engine.hive.lock-enabled"]
        },
    }
    with rest.load_table("ours.prices").update_schema() as update:
        update.delete_column("price")
    return seen | {"without_price": hive.load_table("ours.prices").schema().column_names}


def made_there(rest, hive):
    """A table of the Hive catalog: read, written, renamed and dropped over REST."""
    hive.create_namespace("theirs")
    hive.create_table("theirs.prices", ARROW_SCHEMA).append(rows("bitcoin"))
    seen = {"by_rest": coins(rest, "theirs.prices"), "listed": [list(name) for name in rest.list_tables("theirs")]}
    rest.load_table("theirs.prices").append(rows("ether"))
    rest.rename_table("theirs.prices", "theirs.renamed")
    seen |= {"by_hive": coins(hive, "theirs.renamed")}
    rest.drop_table("theirs.renamed")
    seen |= {"exists": hive.table_exists("theirs.renamed")}
    rest.drop_namespace("theirs")
    return seen | {"namespaces": [list(name) for name in hive.list_namespaces()]}


def main():
    rest_url, hive_uri, warehouse = sys.argv[1:]
    s3 = {"s3.endpoint": os.environ["AWS_ENDPOINT_URL_S3"], "s3.region": os.environ["AWS_REGION"]}
    rest = load_catalog("rest", type="rest", uri=rest_url, **s3)
    speak_hive_4()
    hive = load_catalog("hive", type="hive", uri=hive_uri, warehouse=warehouse, **s3)
    print(json.dumps({case.__name__: case(rest, hive) for case in [made_here, made_there]}))


main()
