"""Downloads a file over HTTP through the proxies that the environment names; resumes an interrupted download.

    download.py URL FILE    prints the bytes present and the total after every megabyte

The caller verifies the checksum; the bytes of an earlier run are not checked.
"""

import http.client
import os
import sys
import urllib.error
import urllib.request

PIECE_BYTES = 1 << 20
ANSWER_SECONDS = 60


def size_of(file: str) -> int:
    return os.path.getsize(file) if os.path.exists(file) else 0


def go_on(url: str, file: str) -> int:
    """Downloads the rest of the file. Returns its total size, 0 if unknown; returns early if the connection breaks."""
    have = size_of(file)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"})
    try:
        answer = urllib.request.urlopen(request, timeout=ANSWER_SECONDS)
    except urllib.error.HTTPError as error:
        # The file is already complete.
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return have
        raise
    with answer:
        # A server without support for ranges sends the whole file again.
        is_rest = answer.status == http.client.PARTIAL_CONTENT
        total = int(answer.headers.get("Content-Length", 0)) + (have if is_rest else 0)
        with open(file, "ab" if is_rest else "wb") as kept:
            while piece := read(answer):
                kept.write(piece)
                print(kept.tell(), total, flush=True)
    return total


def read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(PIECE_BYTES)
    except (OSError, http.client.HTTPException) as error:
        print(f"the connection broke: {error}", file=sys.stderr)
        return b""


def main(url: str, file: str) -> None:
    have = -1
    while size_of(file) > have:
        have = size_of(file)
        total = go_on(url, file)
        if size_of(file) >= total:
            return
    sys.exit(f"after {have} bytes nothing more came")


main(*sys.argv[1:])
