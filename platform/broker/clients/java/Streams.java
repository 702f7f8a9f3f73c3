import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.stream.LongStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * Kafka Streams with exactly_once_v2: `Streams BOOTSTRAP …`. It counts by key, is closed in the middle, is killed in the middle,
 * loses its state and reads it from the changelog again; who reads what is committed sees each count of each key once, in order.
 *
 * `Streams count BOOTSTRAP APPLICATION INPUT OUTPUT STATE` is what is killed: it counts until its standard input ends.
 */
public final class Streams {
    private static final Duration DEADLINE = Duration.ofSeconds(90);
    private static final int KEYS = 10;

    private final String bootstrap;
    private final String application;
    private final String input;
    private final String output;
    private final Map<String, List<Long>> seen = new HashMap<>();
    private int sent;

    private Streams(String bootstrap, String application, String input, String output) {
        this.bootstrap = bootstrap;
        this.application = application;
        this.input = input;
        this.output = output;
    }

    private static String unique(String what) {
        return what + "-" + UUID.randomUUID().toString().substring(0, 8);
    }

    private Properties settings(Path state) {
        Properties settings = new Properties();
        settings.put("application.id", application);
        settings.put("bootstrap.servers", bootstrap);
        settings.put("processing.guarantee", "exactly_once_v2");
        settings.put("state.dir", state.toString());
        settings.put("commit.interval.ms", 100);
        settings.put("num.stream.threads", 2);
        // Every change of a count is told.
        settings.put("statestore.cache.max.bytes", 0);
        settings.put("consumer.session.timeout.ms", 10_000);
        settings.put("auto.offset.reset", "earliest");
        return settings;
    }

    private KafkaStreams start(Path state) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(input, Consumed.with(Serdes.String(), Serdes.String()))
                // Under another key, so that there is a repartition topic too.
                .selectKey((key, value) -> value)
                .groupByKey(Grouped.with(Serdes.String(), Serdes.String()))
                .count(Materialized.as("counts"))
                .toStream()
                .to(output, Produced.with(Serdes.String(), Serdes.Long()));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings(state));
        streams.start();
        return streams;
    }

    /** The same in a process of its own. */
    private Process startProcess(Path state) throws Exception {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        return new ProcessBuilder(java, "-Xmx256m", "-XX:+UseSerialGC", "-cp", System.getProperty("java.class.path"), "Streams",
                "count", bootstrap, application, input, output, state.toString())
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    private void send(int count) {
        Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap);
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            for (int number = 0; number < count; number++, sent++) {
                producer.send(new ProducerRecord<>(input, "key " + sent, "word " + sent % KEYS));
            }
        }
    }

    private static void forget(Path folder) throws Exception {
        try (var found = Files.walk(folder)) {
            for (Path path : found.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }

    private int counted() {
        return seen.values().stream().mapToInt(List::size).sum();
    }

    /** Reads what is committed until so many records are counted. */
    private void readUntil(KafkaConsumer<String, Long> reader, int wanted) {
        long end = System.nanoTime() + DEADLINE.toNanos();
        while (counted() < wanted) {
            if (System.nanoTime() > end) {
                throw new AssertionError(counted() + " of " + sent + " are counted");
            }
            for (ConsumerRecord<String, Long> record : reader.poll(Duration.ofMillis(200))) {
                seen.computeIfAbsent(record.key(), key -> new ArrayList<>()).add(record.value());
            }
        }
    }

    /** Reads what is committed until every record that was sent is counted. */
    private void expectAll(KafkaConsumer<String, Long> reader) {
        readUntil(reader, sent);
        List<Long> wanted = LongStream.rangeClosed(1, sent / KEYS).boxed().toList();
        seen.forEach((key, counts) -> {
            if (!counts.equals(wanted)) {
                throw new AssertionError(key + " was counted as " + counts);
            }
        });
    }

    private void run() throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(input, 3, (short) 1), new NewTopic(output, 3, (short) 1))).all().get();
        }
        Map<String, Object> reading = Map.of("bootstrap.servers", bootstrap, "group.id", unique("reader"),
                "auto.offset.reset", "earliest", "isolation.level", "read_committed");
        Path state = Files.createTempDirectory("streams");
        try (var reader = new KafkaConsumer<>(reading, new StringDeserializer(), new LongDeserializer())) {
            reader.subscribe(List.of(output));
            report("streams exactly_once_v2", () -> {
                KafkaStreams first = start(state);
                send(500);
                expectAll(reader);
                // It has work to do while it is closed: that is finished by the next one.
                send(500);
                first.close(Duration.ofMillis(1));
                first.close(DEADLINE);
                KafkaStreams second = start(state);
                expectAll(reader);
                second.close(DEADLINE);
            });
            report("streams exactly_once_v2, killed", () -> {
                for (int kills = 0; kills < 3; kills++) {
                    Process counting = startProcess(state);
                    try {
                        int before = counted();
                        send(5_000);
                        // In the middle of it: more is committed, and not all.
                        readUntil(reader, before + 1);
                        send(5_000);
                    } finally {
                        counting.destroyForcibly().waitFor();
                    }
                }
                Process last = startProcess(state);
                try {
                    expectAll(reader);
                } finally {
                    // It ends with its input.
                    last.getOutputStream().close();
                    last.waitFor();
                }
            });
            report("streams changelog restore", () -> {
                forget(state);
                Files.createDirectories(state);
                send(500);
                KafkaStreams third = start(state);
                expectAll(reader);
                third.close(DEADLINE);
            });
        }
        forget(state);
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
        if (arguments[0].equals("count")) {
            Streams counting = new Streams(arguments[1], arguments[2], arguments[3], arguments[4]);
            try (KafkaStreams streams = counting.start(Path.of(arguments[5]))) {
                System.in.transferTo(java.io.OutputStream.nullOutputStream());
            }
            return;
        }
        System.out.println("client\tkafka-streams\t" + AppInfoParser.getVersion());
        new Streams(arguments[0], unique("counting"), unique("input"), unique("output")).run();
        System.exit(status);
    }
}
