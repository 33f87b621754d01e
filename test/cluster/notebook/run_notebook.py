"""Runs a notebook's cells in order, as a reader would, and prints the output of each; stops at the first failing cell.

run_notebook.py NOTEBOOK
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

file = Path(sys.argv[1])
notebook = nbformat.read(file, as_version=4)
nbformat.validate(notebook)
NotebookClient(
    notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(file.parent)}}
).execute()
for cell in notebook.cells:
    for output in cell.get("outputs", []):
        print(output.get("text") or output.get("data", {}).get("text/plain", ""))
