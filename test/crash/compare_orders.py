"""Compares a lake of orders with the elements that were uploaded, value by value.

    python compare_orders.py CATALOG_URL TRUTH.json [REMEMBERED KEPT]

PyIceberg reads the lake. After a power cut the source may have read files again: those in the log's records from
REMEMBERED to KEPT, the end of the log after the cut. It must not forget the file of the last of them, whose position
is in the log. Prints a JSON report and exits 1 on a difference.
"""

import json
import sys
from collections import Counter, defaultdict
from operator import itemgetter

from compare import micros, rows
from pyiceberg.catalog import load_catalog


def millis(time):
    return micros(time) // 1000


def cents(amount):
    return int(amount * 100)


def canonical(text):
    """An element as JSON; None for text that is not JSON."""
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return None


def in_bronze(catalog):
    """The offset and payload of all records, in order."""
    records = rows(catalog, "bronze.orders_bronze", "log_offset", "payload")
    return [(row["log_offset"], json.loads(row["payload"])) for row in sorted(records, key=itemgetter("log_offset"))]


def elements_of(payloads):
    elements = Counter()
    for payload in payloads:
        if "malformed" in payload:
            elements[None] += 1
        for element in payload.get("elements", []):
            elements[json.dumps(element, sort_keys=True)] += 1
    return elements


def end_of(payload):
    """The index of the element after the record's last one."""
    return payload["first_element"] + len(payload.get("elements", [None]))


def resumed_before_its_end(payloads, kept):
    """Records after a power cut with elements that the log had, of the file whose position it has."""
    if kept == 0:
        return []
    file = payloads[kept - 1]["file"]
    end = max(end_of(payload) for payload in payloads[:kept] if payload["file"] == file)
    again = [payload for payload in payloads[kept:] if payload["file"] == file and payload["first_element"] < end]
    return [(payload["first_element"], "read again") for payload in again]


def events(catalog):
    columns = ("identity", "event", "occurred_at", "order_id", "store", "status", "total")
    for row in rows(catalog, "silver.order_events", *columns):
        state = [row["event"], millis(row["occurred_at"]), row["order_id"], row["store"], row["status"]]
        yield row["identity"], [*state, cents(row["total"])]


def orders(catalog):
    for row in rows(catalog, "silver.orders_silver", "order_id", "last_event_id", "is_cancelled", "total"):
        yield row["order_id"], [row["last_event_id"], row["is_cancelled"], cents(row["total"])]


def minutes(catalog):
    sales = defaultdict(int)
    for row in rows(catalog, "gold.sales_per_minute", "minute_at", "sales"):
        sales[millis(row["minute_at"])] += cents(row["sales"])
    return ((minute, amount) for minute, amount in sales.items() if amount)


def order_totals(catalog):
    """The total of each order from its lines."""
    totals = defaultdict(int)
    for row in rows(catalog, "gold.fact_orders", "order_id", "amount", "order_discount", "order_shipping"):
        totals[row["order_id"]] += cents(row["amount"] - row["order_discount"] + row["order_shipping"])
    return totals.items()


def main():
    catalog = load_catalog("lake", type="rest", uri=sys.argv[1])
    with open(sys.argv[2], encoding="utf-8") as file:
        truth = json.load(file)
    report = {}

    def check(name, wanted, found):
        wanted, found = list(wanted), list(found)
        by_key = [dict(wanted), dict(found)]
        differing = [key for key in {**by_key[0], **by_key[1]} if by_key[0].get(key) != by_key[1].get(key)]
        first = [[str(key), str(by_key[0].get(key))[:300], str(by_key[1].get(key))[:300]] for key in differing[:3]]
        differences = len(differing) + abs(len(found) - len(by_key[1]))
        report[name] = {"wanted": len(wanted), "found": len(found), "differences": differences, "first": first}

    remembered, kept = map(int, sys.argv[3:] or (0, 0))
    records = in_bronze(catalog)
    payloads = [payload for _, payload in records]
    misplaced = sum(offset != wanted for wanted, (offset, _) in enumerate(records))
    elements = elements_of(payloads)
    sent = Counter(canonical(text) for text, _ in truth["elements"])
    repeated = (elements - sent) & elements_of(payloads[remembered:kept])
    verdicts = Counter()
    reason_of = {canonical(text): reason for text, reason in truth["elements"]}
    for element, count in repeated.items():
        verdicts[reason_of[element]] += count

    check("bronze elements", (sent + repeated).items(), elements.items())
    check("last file after a power cut", [], resumed_before_its_end(payloads, kept))
    check("bronze offsets out of place", [], [("offsets", misplaced)] if misplaced else [])
    check("accepted", truth["events"], events(catalog))
    check("orders", truth["orders"], orders(catalog))
    check("order totals from lines", ((key, state[2]) for key, state in truth["orders"]), order_totals(catalog))
    check("minutes", ((minute, amount) for minute, amount in truth["minutes"] if amount), minutes(catalog))
    reasons = Counter(row["reason"] for row in rows(catalog, "silver.orders_rejected", "reason"))
    rejected = Counter(dict(truth["rejected"])) + Counter({key: n for key, n in verdicts.items() if key is not None})
    check("rejected by reason", rejected.items(), reasons.items())
    duplicates = len(rows(catalog, "silver.order_duplicates", "identity"))
    check("duplicates", [("duplicates", truth["duplicates"] + verdicts[None])], [("duplicates", duplicates)])
    report["repeated elements"] = {"found": repeated.total(), "differences": 0}
    print(json.dumps(report))
    return 1 if any(part["differences"] for part in report.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
