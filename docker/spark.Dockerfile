# Spark with Connect, and the jars that requirements/spark pins: Iceberg, Kafka and Hive 4's client.
FROM maven:3.9.11-eclipse-temurin-17 AS files
COPY requirements/spark /requirements
RUN mvn -B -q -f /requirements/pom.xml org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DincludeScope=runtime -DoutputDirectory=/files \
  && cd /files && sha256sum --check --quiet /requirements/files.sha256

FROM apache/spark:4.1.1-scala2.13-java17-python3-ubuntu
USER root
RUN install -d -o spark /data
USER spark
COPY --from=files /files /opt/coinlake/jars
VOLUME /data
EXPOSE 15002
# Removes what a killed server left behind.
CMD ["bash", "-c", "rm -rf /data/scratch && exec /opt/spark/bin/spark-submit --class org.apache.spark.sql.connect.service.SparkConnectServer --name coinlake --properties-file /opt/coinlake/spark.conf spark-internal"]
