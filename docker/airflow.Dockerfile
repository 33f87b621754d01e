# Airflow, with the command line that its tasks call. Downloads come first, because they change less often than the sources.
FROM node:24.11.1-bookworm-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends python3 python3-venv \
  && rm -rf /var/lib/apt/lists/* \
  && install -d -o node /opt/airflow /opt/airflow/home
USER node
COPY requirements/airflow /requirements
RUN python3 -m venv /opt/airflow/python \
  && /opt/airflow/python/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: -r /requirements/requirements.txt
WORKDIR /home/node/coinlake
COPY --chown=node package.json package-lock.json ./
COPY --chown=node bin bin
COPY --chown=node requirements requirements
RUN node bin/bootstrap.js -- node --version && mkdir /home/node/data
COPY --chown=node . .
RUN node bin/bootstrap.js -- node docker/install-task-tools.ts
ENV AIRFLOW_HOME=/opt/airflow/home AIRFLOW__CORE__DAGS_FOLDER=/home/node/coinlake/airflow/dags AIRFLOW__CORE__PLUGINS_FOLDER=/home/node/coinlake/airflow/plugins
ENV COINLAKE_CLI=/home/node/coinlake/bin/coinlake.js COINLAKE_DATA=/home/node/data PYTHONDONTWRITEBYTECODE=1
VOLUME /opt/airflow/home /home/node/data
EXPOSE 8081
# Airflow reads its users' passwords from a file. Creates the database if missing; then the servers replace the shell.
CMD ["bash", "-c", "printf '{\"admin\": \"%s\"}' \"$AIRFLOW_ADMIN_PASSWORD\" > $AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE && cd $AIRFLOW_HOME && /opt/airflow/python/bin/python /home/node/coinlake/src/cluster/parts/airflow_servers.py prepare && exec /opt/airflow/python/bin/python /home/node/coinlake/src/cluster/parts/airflow_servers.py run"]
