"""Loads the DAGs of a folder as Airflow does, and prints the properties that a test compares."""

import json
import os
import sys

os.environ |= {
    "AIRFLOW_HOME": sys.argv[1],
    "AIRFLOW__CORE__DAGS_FOLDER": sys.argv[2],
    "AIRFLOW__CORE__PLUGINS_FOLDER": sys.argv[3],
}
os.environ |= {"AIRFLOW__CORE__LOAD_EXAMPLES": "false", "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}

from airflow.dag_processing.dagbag import DagBag

bag = DagBag(sys.argv[2])


def name(callback):
    return f"{callback.__module__}.{callback.__name__}"


def seconds(duration):
    return None if duration is None else duration.total_seconds()


def described(task):
    return {
        "task_id": task.task_id,
        "kind": type(task).__name__,
        "command": task.bash_command,
        "after": sorted(task.upstream_task_ids),
        "retries": task.retries,
        "retry_delay_seconds": seconds(task.retry_delay),
        "backoff": task.retry_exponential_backoff,
        "max_retry_delay_seconds": seconds(task.max_retry_delay),
        "timeout_seconds": seconds(task.execution_timeout),
        "on_failure": [name(callback) for callback in task.on_failure_callback],
        "assets": [asset.uri for asset in task.outlets],
        "trigger_rule": task.trigger_rule,
    }


dags = [
    {
        "dag_id": dag.dag_id,
        "schedule": dag.timetable.expression,
        "is_catching_up": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "deadlines": [
            {"seconds": seconds(deadline.interval), "callback": deadline.callback.path} for deadline in dag.deadline
        ],
        "tasks": [described(task) for task in dag.topological_sort()],
    }
    for dag in bag.dags.values()
]
print(json.dumps({"errors": {str(file): str(error) for file, error in bag.import_errors.items()}, "dags": dags}))
