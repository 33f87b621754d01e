"""Counts the rows of every gold table repeatedly, as an external reader.

    gold_reader.py CATALOG_URL SECONDS

Scans with PyIceberg every SECONDS until its standard input closes. Prints one JSON line per table and scan: the table,
its rows, and an error where a scan failed or the number of rows has decreased. In a dimension with history it counts the
versions that began ten minutes ago or earlier, because the last listing of a minute determines that minute's version.
"""

import json
import select
import sys
import time
from datetime import datetime, timedelta, timezone

from pyiceberg.catalog import load_catalog
from pyiceberg.expressions import AlwaysTrue, LessThan

SETTLED_AFTER = timedelta(minutes=10)


def main():
    url, seconds = sys.argv[1], float(sys.argv[2])
    catalog = load_catalog("lake", type="rest", uri=url)
    most = {}
    while True:
        for name in catalog.list_tables("gold"):
            report(catalog, ".".join(name), most)
        # Standard input becomes readable only when it closes, because nothing is ever sent.
        if select.select([sys.stdin], [], [], seconds)[0]:
            return


def report(catalog, name, most):
    line = {"table": name}
    started = time.perf_counter()
    try:
        table = catalog.load_table(name)
        first = table.schema().fields[0].name
        line["rows"] = table.scan(row_filter=settled(table), selected_fields=(first,)).to_arrow().num_rows
        line["seconds"] = time.perf_counter() - started
        if line["rows"] < most.get(name, 0):
            line["error"] = f"{line['rows']} rows after {most[name]}"
        most[name] = max(line["rows"], most.get(name, 0))
    except Exception as error:  # A reader reports every failure, and reads on.
        line["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(line), flush=True)


def settled(table):
    if "valid_from" not in table.schema().column_names:
        return AlwaysTrue()
    return LessThan("valid_from", (datetime.now(timezone.utc) - SETTLED_AFTER).isoformat())


if __name__ == "__main__":
    main()
