# Apache Kafka's own clients, which scripts/kafka.sh fetches, and Kafka Streams. Read by scripts/clients.sh.

java_install() {
  scripts/kafka.sh fetch "$java_version"
  mkdir -p "$installed/java/$java_version"
  javac -nowarn -d "$installed/java/$java_version" -cp "$kafka/*" "$sources/java/Checks.java"
}

for java_version in 3.9.2 4.2.0; do
  kafka=$PWD/target/test-tools/kafka-$java_version/libs
  client "java/$java_version" "kafka-clients $java_version" java_install \
    java -Xmx256m -XX:+UseSerialGC -Dkafka.log.level=WARN "-Dlog4j.configuration=file:$kafka/../log4j.properties" \
    "-Dlog4j2.configurationFile=$kafka/../log4j2.properties" -cp "$kafka/*:$installed/java/$java_version" Checks
done

streams=$installed/java/streams
streams_install() {
  [ -e "$streams/complete" ] || {
    mkdir -p "$streams"
    cp "$sources/java/streams-pom.xml" "$streams/pom.xml"
    mvn -B -q -f "$streams/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$streams/libs" \
      -DincludeScope=runtime && touch "$streams/complete"
  } || return
  javac -nowarn -d "$streams/classes" -cp "$streams/libs/*" "$sources/java/Streams.java"
}
client java/streams kafka-streams streams_install \
  java -Xmx384m -XX:+UseSerialGC -cp "$streams/libs/*:$streams/classes" Streams

# Kafka Connect and MirrorMaker 2, which copies to a second broker.
connect=$installed/java/connect
connect_install() {
  [ -e "$connect/complete" ] || {
    mkdir -p "$connect"
    cp "$sources/java/connect-pom.xml" "$connect/pom.xml"
    mvn -B -q -f "$connect/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$connect/libs" \
      -DincludeScope=runtime && touch "$connect/complete"
  } || return
  javac -nowarn -d "$connect/classes" -cp "$connect/libs/*" "$sources/java/Connect.java"
}
other=127.0.0.1:$(free_port)
if [ -z "$only" ] || [ "$only" = java ]; then
  serve other broker --data-dir "$folder/other" --listen "$other"
  until_healthy kafka "$other"
fi
client java/connect "Kafka Connect, MirrorMaker" connect_install \
  java -Xmx512m -XX:+UseSerialGC -cp "$connect/libs/*:$connect/classes" Connect "$other"

# The command line tools, each command beside a real Kafka. They say what they have made, so they get a broker of their own.
tools_install() {
  scripts/kafka.sh fetch "$java_version"
  mkdir -p "$installed/java/tools-$java_version"
  javac -nowarn -d "$installed/java/tools-$java_version" -cp "$kafka/*" "$sources/java/Tools.java"
}
for java_version in 3.9.2 4.2.0; do
  kafka=$PWD/target/test-tools/kafka-$java_version/libs
  client "java/tools-$java_version" "Apache Kafka's tools $java_version" tools_install \
    "$sources/java/tools.sh" "$java_version" "$installed/java/tools-$java_version" "$program"
done
