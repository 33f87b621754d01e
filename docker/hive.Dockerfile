# The Hive Metastore from the files that requirements/hive pins, like the native launcher.
FROM maven:3.9.11-eclipse-temurin-17 AS files
COPY requirements/hive /requirements
RUN mvn -B -q -f /requirements/pom.xml org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DincludeScope=runtime -DoutputDirectory=/files \
  && cd /files && sha256sum --check --quiet /requirements/files.sha256 \
  && tar -xzf *-bin.tar.gz --strip-components=1 --wildcards '*/scripts/metastore/upgrade/postgres/hive-schema-*' && rm *-bin.tar.gz

FROM eclipse-temurin:17.0.17_10-jre-noble
RUN useradd --system --uid 10083 hive
COPY --from=files /files /opt/hive
COPY src/services/definitions/metastore-site.xml /opt/hive/conf/
ENV METASTORE_HOME=/opt/hive METASTORE_CONF_DIR=/opt/hive/conf
ENV JDK_JAVA_OPTIONS="-Dmetastore.home=/opt/hive --add-opens java.base/java.lang=ALL-UNNAMED --add-opens java.base/java.net=ALL-UNNAMED --add-opens java.base/java.util=ALL-UNNAMED --add-opens java.base/java.util.concurrent=ALL-UNNAMED"
USER hive
EXPOSE 9083
# Creates the schema if missing; then the metastore replaces the shell.
CMD ["bash", "-c", "java -cp '/opt/hive/conf:/opt/hive/*' org.apache.hadoop.hive.metastore.tools.schematool.MetastoreSchemaTool -dbType postgres -initOrUpgradeSchema && exec java -Xms128m -Xmx512m -cp '/opt/hive/conf:/opt/hive/*' org.apache.hadoop.hive.metastore.HiveMetaStore"]
