"""
The parts of dbt's Jinja context that sqlfluff does not imitate, for the templates of all projects: the dispatch to
DuckDB's macros, and the projects' variables. `execute` is false, as when dbt parses, so no macro queries a database.
"""

from pathlib import Path
from types import MappingProxyType

import yaml
from jinja2 import pass_context

# Where projects give a variable different values, either renders to the same shape of SQL.
_VARIABLES = {
    name: value
    for project in sorted(Path(__file__).resolve().parents[2].glob("dbt_*/dbt_project.yml"))
    for name, value in yaml.safe_load(project.read_text(encoding="utf-8"))["vars"].items()
}

execute = False


class graph:
    nodes = MappingProxyType({})


class flags:
    WHICH = "parse"
    FULL_REFRESH = False


class adapter:
    @staticmethod
    @pass_context
    def dispatch(context, name):
        # Its SQL is 20 lines for each number, and parsing them took sqlfluff most of its time.
        if name == "decimal_of":
            return lambda text, number_type: f"try_cast({text} as {number_type})"
        return context[f"duckdb__{name}"]


class dbt:
    @staticmethod
    def is_incremental():
        return True


def var(name, default=None):
    return _VARIABLES.get(name, default)
