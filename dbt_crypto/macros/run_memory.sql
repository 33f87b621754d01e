{#
    What a run has found out, by kind, for those of its nodes that ask later. dbt's graph is the one thing that all nodes share; a process
    that runs dbt again and again keeps it, and each run starts empty. Nodes that run side by side may ask twice, and find the same.
#}
{% macro known_to_this_run(kind) %}
    {% set memory = graph.setdefault('coinlake_run', {}) %}
    {% if memory.get('run') != invocation_id %}{% do memory.clear() %}{% do memory.update({'run': invocation_id}) %}{% endif %}
    {{ return(memory.setdefault(kind, {})) }}
{% endmacro %}
