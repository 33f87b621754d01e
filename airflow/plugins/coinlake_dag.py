"""A pipeline as an Airflow DAG. It has no logic: every task is a call of Coinlake's command line, which says by its exit
code how it went.

The environment says what is called and on which lake:

    COINLAKE_CLI                 the command line's path
    COINLAKE_DATA                folder of the lakes
    COINLAKE_LAKE                which lake in it; without, the one started last
    COINLAKE_SCHEDULE            when, as a cron expression in UTC; every hour by default
    COINLAKE_DEADLINE_SECONDS    when a run is late, and an alert says so; 50 minutes by default
"""

import asyncio
import os
import subprocess
from datetime import datetime, timedelta, timezone

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.sensors.bash import BashSensor
from airflow.sdk import DAG, Asset, AsyncCallback, Param
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

# Any day may be run again, however long ago.
FIRST_DAY = datetime(2009, 1, 3, tzinfo=timezone.utc)
SCHEDULE = os.environ.get("COINLAKE_SCHEDULE", "0 * * * *")
DEADLINE = timedelta(seconds=int(os.environ.get("COINLAKE_DEADLINE_SECONDS", "3000")))
ALERT_TIMEOUT_SECONDS = 60
# More than this is a backlog, on which silver would be built for longer than a run has time.
MAX_LAG_RECORDS = 100_000

# A run by hand may name a day, and a backfill is one of a day: then quality looks at that day, else at what is new.
DAY = "{% if params.day %}--day {{ params.day }}{% elif dag_run.run_type == 'backfill' %}--day {{ ds }}{% endif %}"

# A server that is killed is back within a minute or two; what is still broken after that is for a person to see.
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
    """Bronze to gold, tables by `layer.table`; a table whose quality has passed is published as an asset."""
    dag = DAG(
        dag_id,
        description="bronze health, silver, gold, each with its quality, then maintenance",
        schedule=SCHEDULE,
        start_date=FIRST_DAY,
        catchup=False,
        # Tables have one writer.
        max_active_runs=1,
        params={"day": Param(None, type=["null", "string"], format="date", description="run its quality again: YYYY-MM-DD, UTC")},
        default_args={**RETRIES, "execution_timeout": timedelta(minutes=15), "on_failure_callback": tell_failure},
        deadline=DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT,
            interval=DEADLINE,
            callback=AsyncCallback(tell_late, kwargs={"dag_id": dag_id}),
        ),
        tags=["coinlake"],
    )

    def task(task_id: str, command: str, **options) -> BashOperator:
        return BashOperator(task_id=task_id, bash_command=words(command), skip_on_exit_code=None, do_xcom_push=False, dag=dag, **options)

    # A poke is a short call; between two of them nothing is held.
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
    # Once more, if the servers were to blame; what is wrong with the data stays so.
    once_more = {"retries": 1}
    (
        wait
        >> task("bronze_health", "maintain check", outlets=[asset(table) for table in bronze])
        >> task("silver", "transform --layer silver", execution_timeout=timedelta(minutes=30))
        >> task("silver_quality", f"quality --layer silver {DAY}", outlets=silver_assets, **once_more)
        >> task("gold", "transform --layer gold", inlets=silver_assets, execution_timeout=timedelta(minutes=30))
        >> task("gold_quality", f"quality --layer gold {DAY}", outlets=gold_assets, **once_more)
        >> task("compact", "maintain compact")
        >> task("expire", "maintain expire")
        >> task("orphans", "maintain orphans")
        # The run is over, and with it the failure that an earlier run reported.
        >> task("report", f"alerts report {dag_id} --succeeded", execution_timeout=timedelta(minutes=2))
    )
    return dag


def report(dag_id: str, failure: str) -> list[str]:
    lake = ["--lake", os.environ["COINLAKE_LAKE"]] if os.environ.get("COINLAKE_LAKE") else []
    return [os.environ["COINLAKE_CLI"], "alerts", "report", dag_id, "--failed", failure, "--data", os.environ["COINLAKE_DATA"], *lake]


def tell_failure(context) -> None:
    """Called once the last retry has failed; runs where the task ran."""
    instance = context["task_instance"]
    failure = f"the task {instance.task_id} failed at its attempt {instance.try_number}: {context.get('exception') or 'it was ended'}"
    subprocess.run(report(instance.dag_id, failure), check=True, timeout=ALERT_TIMEOUT_SECONDS)


async def tell_late(dag_id: str, context=None) -> None:
    """Called by Airflow's triggerer when a run has not ended by its deadline."""
    failure = f"a run has not ended {DEADLINE.total_seconds():.0f} seconds after it was asked for"
    process = await asyncio.create_subprocess_exec(*report(dag_id, failure))
    code = await asyncio.wait_for(process.wait(), ALERT_TIMEOUT_SECONDS)
    if code != 0:
        raise RuntimeError(f"The report that {dag_id} is late failed: exit code {code}")
