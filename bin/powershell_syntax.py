"""Checks the syntax of PowerShell scripts without PowerShell.

    python powershell_syntax.py FILE ...

Prints `FILE:LINE: ...` for each place that is not PowerShell, and exits 1 if there is one. The grammar is
tree-sitter's, which finds unbalanced brackets, quotes and blocks, but not unknown commands or wrong types.
"""

import pathlib
import sys

import tree_sitter
import tree_sitter_powershell

EXCERPT_LENGTH = 80


def errors(node):
    if node.is_error or node.is_missing:
        yield node
        return
    for child in node.children:
        yield from errors(child)


def main(files):
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    found = False
    for file in files:
        text = pathlib.Path(file).read_bytes()
        for node in errors(parser.parse(text).root_node):
            found = True
            excerpt = text[node.start_byte : node.end_byte].decode(errors="replace").split("\n")[0][:EXCERPT_LENGTH]
            kind = f"{node.type} is missing" if node.is_missing else "not PowerShell"
            print(f"{file}:{node.start_point.row + 1}: {kind}: {excerpt}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
