import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.connect.cli.ConnectDistributed;
import org.apache.kafka.connect.mirror.MirrorMaker;

/**
 * Kafka Connect and MirrorMaker 2: `Connect OTHER BOOTSTRAP …`, where OTHER is a second broker that the first is mirrored to.
 *
 * A worker in distributed mode with exactly-once sources reads lines of a file into a topic and writes the topic into another
 * file; it is stopped in the middle and started anew. MirrorMaker copies a topic with its settings and a group's position.
 */
public final class Connect {
    private static final Duration DEADLINE = Duration.ofSeconds(120);

    private final String bootstrap;
    private final String other;
    private final Path folder;

    private Connect(String bootstrap, String other) throws IOException {
        this.bootstrap = bootstrap;
        this.other = other;
        this.folder = Files.createTempDirectory("connect");
    }

    private static String unique(String what) {
        return what + "-" + UUID.randomUUID().toString().substring(0, 8);
    }

    private static void until(String what, Callable<Boolean> condition) throws Exception {
        long end = System.nanoTime() + DEADLINE.toNanos();
        while (!condition.call()) {
            if (System.nanoTime() > end) {
                throw new AssertionError("not in time: " + what);
            }
            Thread.sleep(100);
        }
    }

    private static void expect(Object found, Object wanted, String what) {
        if (!found.equals(wanted)) {
            throw new AssertionError(what + ": " + found + " instead of " + wanted);
        }
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }

    /** A worker, and how it is asked. */
    private final class Worker {
        private final int port = freePort();
        private final org.apache.kafka.connect.runtime.Connect<?> worker;
        private final HttpClient http = HttpClient.newHttpClient();

        Worker(String group) throws IOException {
            Map<String, String> settings = new HashMap<>(Map.of(
                    "bootstrap.servers", bootstrap,
                    "group.id", group,
                    "config.storage.topic", group + "-configs",
                    "offset.storage.topic", group + "-offsets",
                    "status.storage.topic", group + "-status",
                    "key.converter", "org.apache.kafka.connect.storage.StringConverter",
                    "value.converter", "org.apache.kafka.connect.storage.StringConverter",
                    "listeners", "http://127.0.0.1:" + port,
                    "exactly.once.source.support", "enabled",
                    "offset.flush.interval.ms", "200"));
            settings.put("config.storage.replication.factor", "1");
            settings.put("offset.storage.replication.factor", "1");
            settings.put("status.storage.replication.factor", "1");
            settings.put("plugin.discovery", "service_load");
            settings.put("scheduled.rebalance.max.delay.ms", "0");
            worker = new ConnectDistributed().startConnect(settings);
        }

        String ask(String method, String path, String body) throws Exception {
            HttpRequest request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path))
                    .header("Content-Type", "application/json")
                    .method(method, HttpRequest.BodyPublishers.ofString(body))
                    .timeout(DEADLINE)
                    .build();
            return http.send(request, HttpResponse.BodyHandlers.ofString()).body();
        }

        /** Makes or changes a connector, once the group of workers has agreed on who does that. */
        void configure(String name, String settings) throws Exception {
            until(name, () -> ask("PUT", "/connectors/" + name + "/config", settings).contains("\"name\":\"" + name + "\""));
            until(name + " runs", () -> ask("GET", "/connectors/" + name + "/status", "").split("RUNNING", -1).length == 3);
        }

        void stop() {
            worker.stop();
            worker.awaitStop();
        }
    }

    private static List<String> lines(int from, int to) {
        List<String> lines = new ArrayList<>();
        for (int number = from; number < to; number++) {
            lines.add("line " + number);
        }
        return lines;
    }

    private void connect() throws Exception {
        String topic = unique("lines");
        Path source = folder.resolve("source.txt");
        Path sink = folder.resolve("sink.txt");
        Files.write(source, lines(0, 500));
        String group = unique("workers");
        Worker first = new Worker(group);
        first.configure("reading", """
                {"connector.class": "FileStreamSource", "tasks.max": "1", "file": "%s", "topic": "%s",
                 "exactly.once.support": "required"}""".formatted(source, topic));
        first.configure("writing", """
                {"connector.class": "FileStreamSink", "tasks.max": "1", "file": "%s", "topics": "%s",
                 "consumer.override.isolation.level": "read_committed"}""".formatted(sink, topic));
        until("500 lines", () -> Files.exists(sink) && Files.readAllLines(sink).size() >= 500);
        Files.write(source, lines(500, 1000), StandardOpenOption.APPEND);
        first.stop();
        Worker second = new Worker(group);
        until("1000 lines", () -> Files.readAllLines(sink).size() >= 1000);
        second.stop();
        try (var reader = reader(bootstrap)) {
            reader.assign(List.of(new TopicPartition(topic, 0)));
            reader.seekToBeginning(reader.assignment());
            List<String> found = new ArrayList<>();
            until("the topic", () -> {
                for (ConsumerRecord<String, String> record : reader.poll(Duration.ofMillis(200))) {
                    found.add(record.value());
                }
                return found.size() >= 1000;
            });
            expect(found, lines(0, 1000), "the topic's lines");
        }
    }

    private static KafkaConsumer<String, String> reader(String bootstrap) {
        Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap, "isolation.level", "read_committed");
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    private void mirror() throws Exception {
        String topic = unique("mirrored");
        String group = unique("readers");
        Map<String, Object> here = Map.of("bootstrap.servers", bootstrap);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (Admin admin = Admin.create(here)) {
            NewTopic wanted = new NewTopic(topic, 2, (short) 1);
            wanted.configs(Map.of("retention.ms", "1234567", "cleanup.policy", "compact,delete"));
            admin.createTopics(List.of(wanted)).all().get();
            try (var producer = new KafkaProducer<>(here, new StringSerializer(), new StringSerializer())) {
                for (String line : lines(0, 100)) {
                    producer.send(new ProducerRecord<>(topic, 0, line, line));
                }
            }
            admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(100))).all().get();
        }
        Map<String, String> settings = new HashMap<>(Map.of(
                "clusters", "one, two",
                "one.bootstrap.servers", bootstrap,
                "two.bootstrap.servers", other,
                "one->two.enabled", "true",
                "two->one.enabled", "false",
                "topics", topic,
                "groups", group,
                "replication.factor", "1",
                "sync.group.offsets.enabled", "true"));
        for (String name : List.of("sync.group.offsets", "emit.checkpoints", "refresh.topics", "refresh.groups",
                "sync.topic.configs")) {
            settings.put(name + ".interval.seconds", "1");
        }
        for (String name : List.of("checkpoints.topic", "heartbeats.topic", "offset-syncs.topic", "offset.storage",
                "status.storage", "config.storage")) {
            settings.put(name + ".replication.factor", "1");
        }
        settings.put("offset.lag.max", "0");
        MirrorMaker mirror = new MirrorMaker(settings, null, Time.SYSTEM);
        mirror.start();
        TopicPartition copied = new TopicPartition("one." + topic, 0);
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", other)); var reader = reader(other)) {
            List<String> found = new ArrayList<>();
            until("the copy", () -> admin.listTopics().names().get().contains(copied.topic()));
            reader.assign(List.of(copied));
            reader.seekToBeginning(reader.assignment());
            until("100 records", () -> {
                reader.poll(Duration.ofMillis(200)).forEach(record -> found.add(record.value()));
                return found.size() >= 100;
            });
            expect(found, lines(0, 100), "the copied records");
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, copied.topic());
            until("the settings", () -> {
                var config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
                return config.get("retention.ms").value().equals("1234567")
                        && config.get("cleanup.policy").value().contains("compact");
            });
            until("the group's position", () -> {
                var offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
                return offsets.containsKey(copied) && offsets.get(copied).offset() == 100;
            });
        }
        mirror.stop();
        mirror.awaitStop();
    }

    private interface Check {
        void run() throws Exception;
    }

    private static int status;

    private static void report(String name, Check check) {
        long started = System.nanoTime();
        try {
            check.run();
            System.out.printf("%s\tok\t%.1f s%n", name, (System.nanoTime() - started) / 1e9);
        } catch (Throwable thrown) {
            status = 1;
            thrown.printStackTrace();
            System.out.printf("%s\tfailed\t%.300s%n", name, String.valueOf(thrown).replace('\n', ' '));
        }
        System.out.flush();
    }

    public static void main(String[] arguments) throws Exception {
        System.out.println("client\tKafka Connect, MirrorMaker\t" + AppInfoParser.getVersion());
        Connect checks = new Connect(arguments[1], arguments[0]);
        report("connect distributed", checks::connect);
        report("mirrormaker 2", checks::mirror);
        try (var found = Files.walk(checks.folder)) {
            for (Path path : found.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
        // A worker that could not be stopped does not hold this up.
        Runtime.getRuntime().halt(status);
    }
}
