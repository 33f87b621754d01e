"""Reads a lake with PyIceberg, independently of Coinlake's engines.

    read_lake.py CATALOG_URL TOPIC TABLE...

The first table is bronze. Prints JSON: rows by table, and whether bronze has each offset of the topic once. The
environment has the address and credentials of S3.
"""

import json
import os
import sys

import pyarrow.compute as pc
from pyiceberg.catalog.rest import RestCatalog

url, topic, *tables = sys.argv[1:]
catalog = RestCatalog(
    "lake",
    uri=url,
    **{
        "s3.endpoint": os.environ["AWS_ENDPOINT_URL_S3"],
        "s3.access-key-id": os.environ["AWS_ACCESS_KEY_ID"],
        "s3.secret-access-key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "s3.region": os.environ["AWS_REGION"],
        "s3.path-style-access": "true",
    },
)
offsets = catalog.load_table(tables[0]).scan(selected_fields=("log_topic", "log_partition", "log_offset")).to_arrow()
is_exact = True
for partition in pc.unique(offsets["log_partition"]).to_pylist():
    own = offsets.filter((pc.field("log_partition") == partition) & (pc.field("log_topic") == topic))["log_offset"]
    is_exact &= sorted(own.to_pylist()) == list(range(len(own)))
print(json.dumps({"rows": {table: catalog.load_table(table).scan().count() for table in tables}, "is_exact": is_exact}))
