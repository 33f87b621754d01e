"""Builds the Airflow DAG of a pipeline. Every task calls Coinlake's command line, whose exit code decides its result.

Environment variables:

    COINLAKE_CLI                 path of the command line
    COINLAKE_DATA                folder that holds the lakes
    COINLAKE_LAKE                name of the lake (default: last started)
    COINLAKE_SCHEDULE            cron expression in UTC (default: every hour)
    COINLAKE_DEADLINE_SECONDS    time after which a run is late and fires an alert (default: 3000)
"""

import asyncio
import os
import subprocess
from datetime import datetime, timedelta, timezone

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.sensors.bash import BashSensor
from airflow.sdk import DAG, Asset, AsyncCallback, Param
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

# Early enough for a backfill of any day.
FIRST_DAY = datetime(2009, 1, 3, tzinfo=timezone.utc)
SCHEDULE = os.environ.get("COINLAKE_SCHEDULE", "0 * * * *")
DEADLINE = timedelta(seconds=int(os.environ.get("COINLAKE_DEADLINE_SECONDS", "3000")))
ALERT_TIMEOUT_SECONDS = 60
# With a larger lag, building silver would exceed a run's time limit.
MAX_LAG_RECORDS = 100_000

# Manual runs with a day and backfills validate that day; other runs validate changed days.
DAY = "{% if params.day %}--day {{ params.day }}{% elif dag_run.run_type == 'backfill' %}--day {{ ds }}{% endif %}"

# The supervisor restarts a failed server within two minutes; later failures need a person.
RETRIES = {
    "retries": 3,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(minutes=5),
}


def words(command: str, is_of_lake: bool = True) -> str:
    lake = ' ${COINLAKE_LAKE:+--lake "$COINLAKE_LAKE"}' if is_of_lake else ""
    return f'exec "$COINLAKE_CLI" {command} --data "$COINLAKE_DATA"{lake}'


def asset(table: str) -> Asset:
    return Asset(f"iceberg://{table.replace('.', '/')}")


def pipeline_dag(dag_id: str, *, bronze: list[str], silver: list[str], gold: list[str]) -> DAG:
    """Builds bronze to gold. Tables are named `layer.table`; validated tables are published as assets."""
    dag = DAG(
        dag_id,
        description="bronze health, silver, gold, each with its quality, then maintenance",
        schedule=SCHEDULE,
        start_date=FIRST_DAY,
        catchup=False,
        # Each table has one writer.
        max_active_runs=1,
        params={
            "day": Param(
                None, type=["null", "string"], format="date", description="day to validate again: YYYY-MM-DD, UTC"
            )
        },
        default_args={**RETRIES, "execution_timeout": timedelta(minutes=15), "on_failure_callback": report_failure},
        deadline=DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT,
            interval=DEADLINE,
            callback=AsyncCallback(report_late, kwargs={"dag_id": dag_id}),
        ),
        tags=["coinlake"],
    )

    def task(task_id: str, command: str, **options) -> BashOperator:
        return BashOperator(
            task_id=task_id, bash_command=words(command), skip_on_exit_code=None, do_xcom_push=False, dag=dag, **options
        )

    # In reschedule mode the sensor uses no worker slot between two checks.
    wait = BashSensor(
        task_id="wait_for_bronze",
        bash_command=words(f"streams check --max-lag {MAX_LAG_RECORDS}", is_of_lake=False),
        poke_interval=15,
        timeout=timedelta(minutes=20).total_seconds(),
        mode="reschedule",
        execution_timeout=timedelta(minutes=2),
        dag=dag,
    )
    silver_assets, gold_assets = [asset(table) for table in silver], [asset(table) for table in gold]
    # One retry, for failures of servers: invalid data would fail again.
    one_retry = {"retries": 1}
    (
        wait
        >> task("bronze_health", "maintain check", outlets=[asset(table) for table in bronze])
        >> task("silver", "transform --layer silver", execution_timeout=timedelta(minutes=30))
        >> task("silver_quality", f"quality --layer silver {DAY}", outlets=silver_assets, **one_retry)
        >> task("gold", "transform --layer gold", inlets=silver_assets, execution_timeout=timedelta(minutes=30))
        >> task("gold_quality", f"quality --layer gold {DAY}", outlets=gold_assets, **one_retry)
        >> task("compact", "maintain compact")
        >> task("expire", "maintain expire")
        >> task("orphans", "maintain orphans")
        # A successful run ends the alert of an earlier failure.
        >> task("report", f"alerts report {dag_id} --succeeded", execution_timeout=timedelta(minutes=2))
    )
    return dag


def report(dag_id: str, failure: str) -> list[str]:
    lake = ["--lake", os.environ["COINLAKE_LAKE"]] if os.environ.get("COINLAKE_LAKE") else []
    return [
        os.environ["COINLAKE_CLI"],
        "alerts",
        "report",
        dag_id,
        "--failed",
        failure,
        "--data",
        os.environ["COINLAKE_DATA"],
        *lake,
    ]


def report_failure(context) -> None:
    """Reports a task that failed after its last retry; runs on the task's worker."""
    instance = context["task_instance"]
    reason = context.get("exception") or "terminated"
    failure = f"the task {instance.task_id} failed at attempt {instance.try_number}: {reason}"
    subprocess.run(report(instance.dag_id, failure), check=True, timeout=ALERT_TIMEOUT_SECONDS)


async def report_late(dag_id: str, context=None) -> None:
    """Reports a run that exceeds its deadline; Airflow's triggerer calls it."""
    failure = f"a run has not finished {DEADLINE.total_seconds():.0f} seconds after it was queued"
    process = await asyncio.create_subprocess_exec(*report(dag_id, failure))
    code = await asyncio.wait_for(process.wait(), ALERT_TIMEOUT_SECONDS)
    if code != 0:
        raise RuntimeError(f"Cannot report that {dag_id} is late: exit code {code}")
