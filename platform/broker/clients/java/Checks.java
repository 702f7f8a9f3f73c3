import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialDeletion;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * Apache Kafka's own clients: `Checks BOOTSTRAP CHECKS.TXT [PART OF A NAME]`, compiled against each version.
 *
 * Long because it is one program, compiled as one file: a method for each sort of check.
 */
public final class Checks {
    private static final Duration DEADLINE = Duration.ofSeconds(40);
    private static final String ASSIGNORS = "org.apache.kafka.clients.consumer.";

    private final String bootstrap;
    private final Admin admin;

    private Checks(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = Admin.create(base());
    }

    private Map<String, Object> base() {
        return new HashMap<>(Map.of("bootstrap.servers", bootstrap));
    }

    private static String unique(String what) {
        return what + "-" + UUID.randomUUID().toString().substring(0, 8);
    }

    private static <T> T done(Future<T> future) throws Exception {
        return future.get(DEADLINE.toSeconds(), TimeUnit.SECONDS);
    }

    private static void expect(Object found, Object wanted, String what) {
        if (!found.equals(wanted)) {
            throw new AssertionError(what + ": " + found + " instead of " + wanted);
        }
    }

    private static void until(Callable<String> what, Callable<Boolean> condition) throws Exception {
        long end = System.nanoTime() + DEADLINE.toNanos();
        while (!condition.call()) {
            if (System.nanoTime() > end) {
                throw new AssertionError("not in time: " + what.call());
            }
            Thread.sleep(20);
        }
    }

    private static List<String> numbers(int from, int to) {
        return IntStream.range(from, to).mapToObj(Integer::toString).toList();
    }

    private String topic(int partitions) throws Exception {
        String name = unique("topic");
        done(admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1))).all());
        return name;
    }

    private KafkaProducer<String, String> producer(Map<String, Object> settings) {
        Map<String, Object> all = base();
        all.put("linger.ms", 5);
        all.putAll(settings);
        return new KafkaProducer<>(all, new StringSerializer(), new StringSerializer());
    }

    private static void send(KafkaProducer<String, String> producer, String topic, List<String> values, int partition)
            throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (String value : values) {
            sent.add(producer.send(new ProducerRecord<>(topic, partition, null, value)));
        }
        producer.flush();
        for (Future<RecordMetadata> one : sent) {
            done(one);
        }
    }

    private void send(String topic, List<String> values, int partition, Map<String, Object> settings) throws Exception {
        try (KafkaProducer<String, String> producer = producer(settings)) {
            send(producer, topic, values, partition);
        }
    }

    private KafkaConsumer<String, String> consumer(Map<String, Object> settings) {
        Map<String, Object> all = base();
        all.put("enable.auto.commit", false);
        all.put("auto.offset.reset", "earliest");
        all.putAll(settings);
        return new KafkaConsumer<>(all, new StringDeserializer(), new StringDeserializer());
    }

    private static List<String> poll(KafkaConsumer<String, String> consumer, int count) throws Exception {
        List<String> found = new ArrayList<>();
        until(() -> found.size() + " of " + count + " values", () -> {
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                found.add(record.value());
            }
            return found.size() >= count;
        });
        return found;
    }

    private List<String> read(String topic, int count, boolean committed) throws Exception {
        String level = committed ? "read_committed" : "read_uncommitted";
        try (KafkaConsumer<String, String> consumer = consumer(Map.of("isolation.level", level))) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            consumer.seekToBeginning(consumer.assignment());
            return poll(consumer, count);
        }
    }

    private void sends(int count, Map<String, Object> settings) throws Exception {
        String topic = topic(1);
        List<String> values = numbers(0, count).stream().map(number -> (number + " value ").repeat(10)).toList();
        send(topic, values, 0, settings);
        expect(read(topic, count, false), values, "values");
    }

    private void transactions() throws Exception {
        String topic = topic(1);
        List<String> every = new ArrayList<>();
        List<String> kept = new ArrayList<>();
        try (KafkaProducer<String, String> producer = producer(Map.of("transactional.id", unique("id")))) {
            producer.initTransactions();
            for (int number = 0; number < 3; number++) {
                List<String> values = numbers(number * 10, number * 10 + 10);
                every.addAll(values);
                producer.beginTransaction();
                send(producer, topic, values, 0);
                if (number == 1) {
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                    kept.addAll(values);
                }
            }
        }
        expect(read(topic, kept.size(), true), kept, "committed values");
        expect(read(topic, every.size(), false), every, "all values");
    }

    private long committed(String group, TopicPartition place) throws Exception {
        return done(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).get(place).offset();
    }

    private void offsets() throws Exception {
        TopicPartition place = new TopicPartition(topic(1), 0);
        String group = unique("group");
        try (KafkaProducer<String, String> producer = producer(Map.of("transactional.id", unique("id")))) {
            producer.initTransactions();
            for (long offset : new long[] {3, 7, 5}) {
                producer.beginTransaction();
                send(producer, place.topic(), List.of("copy"), 0);
                Map<TopicPartition, OffsetAndMetadata> offsets = Map.of(place, new OffsetAndMetadata(offset));
                producer.sendOffsetsToTransaction(offsets, new ConsumerGroupMetadata(group));
                if (offset == 7) {
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                }
                expect(committed(group, place), offset == 7 ? 3 : offset, "committed offset");
            }
        }
    }

    private void consume(String from) throws Exception {
        TopicPartition place = new TopicPartition(topic(1), 0);
        send(place.topic(), numbers(0, 10), 0, Map.of());
        try (KafkaConsumer<String, String> consumer = consumer(Map.of())) {
            consumer.assign(List.of(place));
            List<String> wanted = numbers(0, 10);
            switch (from) {
                case "the start" -> consumer.seekToBeginning(List.of(place));
                case "an offset" -> {
                    consumer.seek(place, 7);
                    wanted = numbers(7, 10);
                }
                case "the end" -> {
                    consumer.seekToEnd(List.of(place));
                    consumer.position(place);
                    wanted = List.of("later");
                    send(place.topic(), wanted, 0, Map.of());
                }
                default -> {
                    long time = System.currentTimeMillis() + 1;
                    until(() -> "the clock", () -> System.currentTimeMillis() > time);
                    wanted = List.of("later");
                    send(place.topic(), wanted, 0, Map.of());
                    consumer.seek(place, consumer.offsetsForTimes(Map.of(place, time)).get(place).offset());
                }
            }
            expect(poll(consumer, wanted.size()), wanted, "values");
        }
    }

    /** A member of a group, read in a thread of its own, as a program would. */
    private final class Member implements AutoCloseable {
        final List<String> values = new CopyOnWriteArrayList<>();
        volatile Set<Integer> partitions = Set.of();
        private volatile boolean stop;
        private volatile CountDownLatch asked;
        private volatile Throwable failure;
        private final Thread thread;

        Member(String group, String topic, Map<String, Object> settings) {
            Map<String, Object> all = new HashMap<>(settings);
            all.put("group.id", group);
            if (!all.containsKey("group.protocol")) {
                all.put("session.timeout.ms", 10_000);
                all.put("heartbeat.interval.ms", 500);
            }
            thread = new Thread(() -> {
                try (KafkaConsumer<String, String> consumer = consumer(all)) {
                    consumer.subscribe(List.of(topic));
                    while (!stop) {
                        consumer.poll(Duration.ofMillis(100)).forEach(record -> values.add(record.value()));
                        Set<Integer> held = new TreeSet<>();
                        consumer.assignment().forEach(place -> held.add(place.partition()));
                        partitions = held;
                        if (asked != null) {
                            consumer.commitSync();
                            asked.countDown();
                            asked = null;
                        }
                    }
                } catch (Throwable thrown) {
                    failure = thrown;
                }
                partitions = Set.of();
            });
            thread.setDaemon(true);
            thread.start();
        }

        void check() {
            if (failure != null) {
                throw new AssertionError(failure);
            }
        }

        void commit() throws Exception {
            CountDownLatch done = new CountDownLatch(1);
            asked = done;
            until(() -> "a commit", () -> {
                check();
                return done.getCount() == 0;
            });
        }

        @Override
        public void close() throws InterruptedException {
            stop = true;
            thread.join(DEADLINE.toMillis());
            check();
        }
    }

    private static void share(Collection<Member> members, int partitions) throws Exception {
        Callable<List<Set<Integer>>> held = () -> members.stream().map(member -> member.partitions).toList();
        until(() -> "partitions " + held.call(), () -> {
            members.forEach(Member::check);
            List<Set<Integer>> all = held.call();
            Set<Integer> together = new TreeSet<>();
            all.forEach(together::addAll);
            return all.stream().noneMatch(Set::isEmpty) && together.size() == partitions
                    && all.stream().mapToInt(Set::size).sum() == partitions;
        });
    }

    private static void have(Collection<Member> members, List<String> wanted) throws Exception {
        Callable<List<String>> values = () -> {
            members.forEach(Member::check);
            return members.stream().flatMap(member -> member.values.stream()).sorted().toList();
        };
        until(() -> values.call().size() + " of " + wanted.size() + " values",
                () -> values.call().size() >= wanted.size());
        expect(values.call(), wanted.stream().sorted().toList(), "values");
    }

    private void group(Map<String, Object> settings) throws Exception {
        String topic = topic(4);
        String group = unique("group");
        try (Member one = new Member(group, topic, settings)) {
            try (Member two = new Member(group, topic, settings)) {
                share(List.of(one, two), 4);
                for (int partition = 0; partition < 4; partition++) {
                    send(topic, numbers(partition * 10, partition * 10 + 10), partition, Map.of());
                }
                have(List.of(one, two), numbers(0, 40));
                one.commit();
                two.commit();
            }
            share(List.of(one), 4);
        }
    }

    private void goOn() throws Exception {
        String topic = topic(1);
        String group = unique("group");
        for (List<String> values : List.of(List.of("1", "2"), List.of("3"))) {
            send(topic, values, 0, Map.of());
            try (Member member = new Member(group, topic, Map.of())) {
                have(List.of(member), values);
                member.commit();
            }
        }
    }

    private void staticMember() throws Exception {
        String topic = topic(4);
        String group = unique("group");
        try (Member one = new Member(group, topic, Map.of("group.instance.id", "one"))) {
            Set<Integer> before;
            Set<Integer> stays;
            try (Member two = new Member(group, topic, Map.of("group.instance.id", "two"))) {
                share(List.of(one, two), 4);
                before = two.partitions;
                stays = one.partitions;
            }
            try (Member two = new Member(group, topic, Map.of("group.instance.id", "two"))) {
                until(() -> "partitions " + two.partitions, () -> two.partitions.equals(before));
                expect(one.partitions, stays, "partitions of who stayed");
            }
        }
    }

    private void administration(String what) throws Exception {
        switch (what) {
            case "topics" -> {
                String topic = topic(2);
                Callable<Integer> partitions =
                        () -> done(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic).partitions().size();
                expect(partitions.call(), 2, "partitions");
                done(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all());
                expect(partitions.call(), 5, "partitions");
                var id = done(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic).topicId();
                var byId = admin.describeTopics(TopicCollection.ofTopicIds(List.of(id)));
                expect(done(byId.allTopicIds()).get(id).name(), topic, "name by id");
                done(admin.deleteTopics(List.of(topic)).all());
                expect(done(admin.listTopics().names()).contains(topic), false, "deleted topic");
            }
            case "settings" -> {
                ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, topic(1));
                ConfigEntry entry = new ConfigEntry("retention.ms", "1234567");
                done(admin.incrementalAlterConfigs(
                        Map.of(topic, List.of(new AlterConfigOp(entry, AlterConfigOp.OpType.SET)))).all());
                var found = done(admin.describeConfigs(List.of(topic)).all()).get(topic);
                expect(found.get("retention.ms").value(), "1234567", "retention.ms");
                ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
                var settings = done(admin.describeConfigs(List.of(broker)).all()).get(broker);
                expect(settings.get("log.retention.ms") != null, true, "the broker's settings");
            }
            case "records" -> {
                TopicPartition place = new TopicPartition(topic(1), 0);
                send(place.topic(), numbers(0, 3), 0, Map.of());
                done(admin.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(2))).all());
                expect(read(place.topic(), 1, false), List.of("2"), "values");
            }
            case "groups" -> {
                TopicPartition place = new TopicPartition(topic(1), 0);
                String group = unique("group");
                send(place.topic(), List.of("1"), 0, Map.of());
                try (Member member = new Member(group, place.topic(), Map.of())) {
                    have(List.of(member), List.of("1"));
                    member.commit();
                    var listed = done(admin.listConsumerGroups().all());
                    expect(listed.stream().anyMatch(found -> found.groupId().equals(group)), true, "listed");
                    var described = done(admin.describeConsumerGroups(List.of(group)).all()).get(group);
                    expect(described.members().size(), 1, "members");
                }
                expect(committed(group, place), 1L, "offset");
                done(admin.deleteConsumerGroups(List.of(group)).all());
            }
            case "cluster" -> {
                var cluster = admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
                expect(done(cluster.nodes()).size(), 1, "nodes");
                expect(done(cluster.authorizedOperations()).isEmpty(), false, "without authorized operations");
                expect(done(admin.describeMetadataQuorum().quorumInfo()).voters().size(), 1, "voters");
                expect(done(admin.describeFeatures().featureMetadata()) != null, true, "features");
            }
            case "ACLs" -> {
                ResourcePattern of = new ResourcePattern(ResourceType.TOPIC, unique("topic"), PatternType.LITERAL);
                AclBinding rule = new AclBinding(of,
                        new AccessControlEntry("User:alice", "*", AclOperation.READ, AclPermissionType.ALLOW));
                done(admin.createAcls(List.of(rule)).all());
                expect(List.copyOf(done(admin.describeAcls(rule.toFilter()).values())), List.of(rule), "rules");
                expect(done(admin.deleteAcls(List.of(rule.toFilter())).all()).size(), 1, "rules deleted");
            }
            case "users" -> {
                String user = unique("user");
                ScramCredentialInfo info = new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 8192);
                done(admin.alterUserScramCredentials(
                        List.of(new UserScramCredentialUpsertion(user, info, "secret"))).all());
                var found = done(admin.describeUserScramCredentials(List.of(user)).description(user));
                expect(found.credentialInfos(), List.of(info), "credentials");
                done(admin.alterUserScramCredentials(
                        List.of(new UserScramCredentialDeletion(user, info.mechanism()))).all());
            }
            default -> throw new AssertionError("there is no check of " + what);
        }
    }

    private void check(String name) throws Exception {
        List<String> words = List.of(name.split(" "));
        switch (words.get(0)) {
            case "produce" -> sends(200, Map.of("compression.type", words.get(1), "enable.idempotence", false));
            case "idempotent" -> sends(1000, Map.of("enable.idempotence", true));
            case "transactions" -> transactions();
            case "offsets" -> offsets();
            case "consume" -> consume(name.substring("consume from ".length()));
            case "commit" -> goOn();
            case "static" -> staticMember();
            case "admin" -> administration(words.get(1));
            case "group" -> {
                if (words.get(1).equals("protocol")) {
                    group(Map.of("group.protocol", "consumer"));
                } else {
                    String assignor = Map.of("range", "Range", "roundrobin", "RoundRobin", "sticky", "Sticky",
                            "cooperative-sticky", "CooperativeSticky").get(words.get(1));
                    group(Map.of("partition.assignment.strategy", ASSIGNORS + assignor + "Assignor"));
                }
            }
            default -> throw new AssertionError("there is no check " + name);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Checks checks = new Checks(arguments[0]);
        Optional<String> wanted = Optional.ofNullable(arguments.length > 2 ? arguments[2] : null);
        int status = 0;
        System.out.println("client\tkafka-clients\t" + AppInfoParser.getVersion());
        for (String line : Files.readAllLines(Path.of(arguments[1]), StandardCharsets.UTF_8)) {
            String name = line.split("\t")[0];
            if (!name.contains(wanted.orElse(""))) {
                continue;
            }
            long started = System.nanoTime();
            try {
                checks.check(name);
                double took = (System.nanoTime() - started) / 1e9;
                System.out.printf("%s\tok\t%.1f s%n", name, took);
            } catch (Throwable thrown) {
                status = 1;
                thrown.printStackTrace();
                System.out.printf("%s\tfailed\t%.300s%n", name, String.valueOf(thrown).replace('\n', ' '));
            }
        }
        System.out.flush();
        System.exit(status);
    }
}
