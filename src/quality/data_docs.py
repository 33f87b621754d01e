"""Data Docs as self-contained pages without scripts and external files, and a bounded number of past results."""

import html
import re
import shutil
from pathlib import Path

from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults
from great_expectations.render.view.view import DefaultJinjaIndexPageView, DefaultJinjaPageView
from jinja2 import ChoiceLoader, FileSystemLoader, pass_context

TEMPLATES = Path(__file__).parent / "templates"
RUN_TIME = re.compile(r"\d{8}T\d{6}\.\d+Z$")


class _Plain:
    """Prefers the templates of this module to those of Great Expectations, and escapes values.

    Great Expectations would print the values as markup.
    """

    def __init__(self, **options):
        super().__init__(**options)
        self.env.loader = ChoiceLoader([FileSystemLoader(TEMPLATES), self.env.loader])
        self.env.filters["render_content_block"] = self._render_escaped

    @pass_context
    def _render_escaped(self, jinja_context, content_block, *args, **options):
        if isinstance(content_block, str):
            return html.escape(content_block)
        return self.render_content_block(jinja_context, content_block, *args, **options)


class PlainPage(_Plain, DefaultJinjaPageView):
    pass


class PlainIndexPage(_Plain, DefaultJinjaIndexPageView):
    pass


def results_folder(folder):
    return Path(folder, "results")


def docs_folder(folder):
    return Path(folder, "docs")


def _files(folder):
    return {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}


def _section(store, renderer):
    return {
        "class_name": "DefaultSiteSectionBuilder",
        "source_store_name": store,
        "renderer": {"module_name": "great_expectations.render.renderer", "class_name": renderer},
        "view": {"module_name": __name__, "class_name": "PlainPage"},
    }


def context_config(folder, site_name):
    """A context that stores only results and their pages on disk."""
    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": _files(docs_folder(folder)),
        "site_index_builder": {
            "class_name": "DefaultSiteIndexBuilder",
            "view": {"module_name": __name__, "class_name": "PlainIndexPage"},
        },
        "site_section_builders": {
            "expectations": _section("expectations_store", "ExpectationSuitePageRenderer"),
            "validations": _section("validation_results_store", "ValidationResultsPageRenderer"),
        },
    }
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        data_docs_sites={site_name: site},
        analytics_enabled=False,
        progress_bars={"globally": False},
    )
    config.stores["validation_results_store"] = {
        "class_name": "ValidationResultsStore",
        "store_backend": _files(results_folder(folder)),
    }
    return config


def write(context, folder, kept_runs):
    """Writes the pages of all retained results, and their index."""
    _forget_old_runs(folder, kept_runs)
    context.build_data_docs()
    # Fonts and pictures of Great Expectations' own templates, which these pages do not use.
    shutil.rmtree(docs_folder(folder) / "static", ignore_errors=True)


def _forget_old_runs(folder, kept):
    """Deletes old runs. The results and pages of a run are in folders named after its time, one below each suite."""
    found = [
        path
        for root in (results_folder(folder), docs_folder(folder))
        for path in root.rglob("*Z")
        if RUN_TIME.match(path.name)
    ]
    old = sorted({path.name for path in found}, reverse=True)[kept:]
    for path in found:
        if path.name in old:
            shutil.rmtree(path)
