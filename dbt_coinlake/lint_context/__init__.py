"""
The parts of dbt's Jinja context that sqlfluff does not provide, for the templates of all projects: the dispatch to
DuckDB's macros, and the projects' variables. `execute` is false, as when dbt parses, so no macro queries a database.
"""

from pathlib import Path
from types import MappingProxyType

import yaml
from jinja2 import pass_context

# If projects give a variable different values, every value renders SQL of the same shape.
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
        # decimal_of renders 20 lines of SQL for each number; parsing them took most of the time of sqlfluff.
        if name == "decimal_of":
            return lambda text, number_type: f"try_cast({text} as {number_type})"
        return context[f"duckdb__{name}"]


class dbt:
    @staticmethod
    def is_incremental():
        return True


def var(name, default=None):
    return _VARIABLES.get(name, default)
