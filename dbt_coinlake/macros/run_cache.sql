{#
    The cache of a run, by kind of value, which all nodes of the run share. It is stored in dbt's graph, the one object
    that all nodes share and that a long-lived process keeps; each run starts with an empty cache. Nodes that run
    concurrently may compute a value twice, with one result.
#}
{% macro run_cache(kind) %}
    {% set memory = graph.setdefault('coinlake_run', {}) %}
    {% if memory.get('run') != invocation_id %}{% do memory.clear() %}{% do memory.update({'run': invocation_id}) %}{% endif %}
    {{ return(memory.setdefault(kind, {})) }}
{% endmacro %}
