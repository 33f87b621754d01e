"""Counts the rows of every gold table repeatedly, as an external reader.

    gold_reader.py CATALOG_URL SECONDS

Scans with PyIceberg every SECONDS until its standard input closes. Prints one JSON line per table and scan: the table,
its rows, and an error where a scan failed or the number of rows has decreased. In a dimension with history it counts
the versions that began at least ten minutes before the newest one that it has seen, because a later listing of a minute
can change that minute's version, or remove it.
"""

import json
import select
import sys
import time
from datetime import timedelta

import pyarrow.compute as pc
from pyiceberg.catalog import load_catalog

SETTLED_AFTER = timedelta(minutes=10)


def main():
    url, seconds = sys.argv[1], float(sys.argv[2])
    catalog = load_catalog("lake", type="rest", uri=url)
    most, newest = {}, {}
    while True:
        for name in catalog.list_tables("gold"):
            report(catalog, ".".join(name), most, newest)
        # Standard input becomes readable only when it closes, because nothing is ever sent.
        if select.select([sys.stdin], [], [], seconds)[0]:
            return


def report(catalog, name, most, newest):
    line = {"table": name}
    started = time.perf_counter()
    try:
        line["rows"] = settled_rows(catalog.load_table(name), name, newest)
        line["seconds"] = time.perf_counter() - started
        if line["rows"] < most.get(name, 0):
            line["error"] = f"{line['rows']} rows after {most[name]}"
        most[name] = max(line["rows"], most.get(name, 0))
    except Exception as error:  # A reader reports every failure, and reads on.
        line["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(line), flush=True)


def settled_rows(table, name, newest):
    names = table.schema().column_names
    is_history = "valid_from" in names
    rows = table.scan(selected_fields=("valid_from" if is_history else names[0],)).to_arrow()
    if not is_history or rows.num_rows == 0:
        return rows.num_rows
    valid_from = rows["valid_from"]
    latest = pc.max(valid_from).as_py()
    newest[name] = max(latest, newest.get(name, latest))
    return pc.sum(pc.less_equal(valid_from, newest[name] - SETTLED_AFTER)).as_py()


if __name__ == "__main__":
    main()
