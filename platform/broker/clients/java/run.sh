# Apache Kafka's own clients, which scripts/kafka.sh fetches, Kafka Streams, and Kafka Connect. Read by scripts/clients.sh.

java_versions=(3.9.2 4.2.0)

java_install() {
  scripts/kafka.sh fetch "$java_version"
  mkdir -p "$installed/java/$java_version"
  javac -nowarn -d "$installed/java/$java_version" -cp "$kafka/*" "$sources/java/Checks.java"
}

for java_version in "${java_versions[@]}"; do
  kafka=$PWD/target/test-tools/kafka-$java_version/libs
  client "java/$java_version" "kafka-clients $java_version" java_install \
    java -Xmx256m -XX:+UseSerialGC -Dkafka.log.level=WARN "-Dlog4j.configuration=file:$kafka/../log4j.properties" \
    "-Dlog4j2.configurationFile=$kafka/../log4j2.properties" -cp "$kafka/*:$installed/java/$java_version" Checks
done

# What a pom names, of one version of Kafka, and what is compiled with it: `java_with_pom NAME`.
java_with_pom() {
  local place=$installed/java/${1,,}-$java_version
  [ -e "$place/complete" ] || {
    mkdir -p "$place"
    cp "$sources/java/${1,,}-pom.xml" "$place/pom.xml"
    mvn -B -q -f "$place/pom.xml" "-Dkafka.version=$java_version" dependency:copy-dependencies \
      "-DoutputDirectory=$place/libs" -DincludeScope=runtime && touch "$place/complete"
  } || return
  javac -nowarn -d "$place/classes" -cp "$place/libs/*" "$sources/java/$1.java"
}

streams_install() { java_with_pom Streams; }
for java_version in "${java_versions[@]}"; do
  streams=$installed/java/streams-$java_version
  client "java/streams-$java_version" "kafka-streams $java_version" streams_install \
    java -Xmx384m -XX:+UseSerialGC -cp "$streams/libs/*:$streams/classes" Streams
done

# Kafka Connect and MirrorMaker 2, which copies to a second broker.
connect_install() { java_with_pom Connect; }
for java_version in "${java_versions[@]}"; do
  connect=$installed/java/connect-$java_version other=''
  if [ -z "$fetch" ] && wanted "java/connect-$java_version"; then
    other=127.0.0.1:$(free_port)
    serve "other-$java_version" broker --data-dir "$folder/other-$java_version" --listen "$other"
    until_healthy kafka "$other"
  fi
  client "java/connect-$java_version" "Kafka Connect, MirrorMaker $java_version" connect_install \
    java -Xmx512m -XX:+UseSerialGC -cp "$connect/libs/*:$connect/classes" Connect "$other"
done

# The command line tools, each command beside a real Kafka. They say what they have made, so they get a broker of their own.
tools_install() {
  scripts/kafka.sh fetch "$java_version"
  mkdir -p "$installed/java/tools-$java_version"
  javac -nowarn -d "$installed/java/tools-$java_version" -cp "$kafka/*" "$sources/java/Tools.java"
}
for java_version in "${java_versions[@]}"; do
  kafka=$PWD/target/test-tools/kafka-$java_version/libs
  client "java/tools-$java_version" "Apache Kafka's tools $java_version" tools_install \
    "$sources/java/tools.sh" "$java_version" "$installed/java/tools-$java_version" "$program"
done
