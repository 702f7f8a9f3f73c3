import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.FutureTask;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.common.utils.Exit;

/**
 * Apache Kafka's command line tools: `Tools REAL BOOTSTRAP …`. Each command is given to a real Kafka and to the broker, and
 * has to end with the same exit code and, where that is 0, to print the same lines, save for what differs from one cluster to
 * another. The words of an error are the broker's own.
 *
 * A line of a check is `TOOL ARGUMENT…`; what stands behind `<` is its standard input. `…` at the end: only the exit code
 * counts, for the reason that stands there; `≠`: that differs, too, and has to. TOPIC_ID is the id of the topic `lines`.
 */
public final class Tools {
    private static final long PATIENCE_S = 90;

    /** Where the tools are: by version in the one place or in the other. */
    private static final String[] PLACES = {
        "org.apache.kafka.tools.", "kafka.admin.", "kafka.tools.", "org.apache.kafka.tools.consumer.",
        "org.apache.kafka.tools.consumer.group.", "org.apache.kafka.tools.reassign.", "org.apache.kafka.tools.streams.",
    };

    private static final PrintStream OUT = System.out;
    private static final PrintStream ERR = System.err;
    private static final InputStream IN = System.in;

    private static final class Ended extends Error {
        Ended() {
            super("the tool has ended", null, false, false);
        }
    }

    /** What came of a command. */
    private record Result(int code, String printed) {}

    public static void main(String[] arguments) throws Exception {
        String real = arguments[0];
        String ours = arguments[1];
        String version = AppInfoParser.getVersion();
        OUT.println("client\tApache Kafka's tools\t" + version);
        boolean good = true;
        String name = null;
        List<String> commands = new ArrayList<>();
        List<String> lines = new ArrayList<>(Files.readAllLines(Path.of(System.getProperty("commands"))));
        lines.add("[]");
        for (String line : lines) {
            if (line.startsWith("[")) {
                if (name != null) {
                    good &= check(name, commands, real, ours);
                }
                name = line.substring(1, line.length() - 1);
                commands = new ArrayList<>();
            } else if (!line.isBlank() && !line.startsWith("#")) {
                commands.add(line);
            }
        }
        OUT.flush();
        // Some tools leave threads and hooks behind.
        Runtime.getRuntime().halt(good ? 0 : 1);
    }

    private static boolean check(String name, List<String> commands, String real, String ours) throws Exception {
        List<String> wrong = new ArrayList<>();
        long began = System.nanoTime();
        for (String command : commands) {
            if (command.startsWith("4: ")) {
                if (!AppInfoParser.getVersion().startsWith("4.")) {
                    continue;
                }
                command = command.substring(3);
            }
            boolean differs = command.contains(" ≠ ");
            String[] parts = command.split(" […≠] ", 2);
            Result expected = run(parts[0], real);
            if (expected == null) {
                OUT.println(name + "\tabsent\tthis version does not have " + parts[0].split(" ")[0]);
                return true;
            }
            Result found = run(parts[0], ours);
            if (differs) {
                // Neither is it left waiting, nor has what was true once become untrue unnoticed.
                if (found.code < 0 || found.code == expected.code) {
                    wrong.add("`" + parts[0] + "` ends with " + found.code + ", as on Kafka: " + found.printed.strip());
                }
            } else if (found.code != expected.code) {
                wrong.add("`" + parts[0] + "` ends with " + found.code + " instead of " + expected.code + ": " + found.printed.strip());
            } else if (parts.length == 1 && expected.code == 0) {
                TreeSet<String> missing = lines(expected.printed, real);
                TreeSet<String> more = lines(found.printed, ours);
                TreeSet<String> both = new TreeSet<>(missing);
                both.retainAll(more);
                missing.removeAll(both);
                more.removeAll(both);
                if (!missing.isEmpty() || !more.isEmpty()) {
                    wrong.add("`" + parts[0] + "` prints " + more + " instead of " + missing);
                }
            }
        }
        if (wrong.isEmpty()) {
            OUT.println(name + "\tok\t" + (System.nanoTime() - began) / 1_000_000_000 + " s");
        } else {
            OUT.println(name + "\tfailed\t" + String.join("; ", wrong).replaceAll("\\s+", " "));
        }
        return wrong.isEmpty();
    }

    /** The lines of an output, without what differs from one cluster to another: addresses, ids, times, sizes. */
    private static TreeSet<String> lines(String printed, String bootstrap) {
        TreeSet<String> lines = new TreeSet<>();
        for (String line : printed.split("\n")) {
            String same = line.replace(bootstrap, "BROKER")
                    .replaceAll("[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])", "ID")
                    .replaceAll("(-ID|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})", "ID")
                    .replaceAll("\\b1[0-9]{12}\\b", "TIME")
                    .replaceAll("\\b20\\d\\d-\\d\\d-\\d\\d[T ][0-9:.,]+Z?", "TIME")
                    .replaceAll("\\b127.0.0.1:\\d+", "BROKER")
                    .replaceAll("\\s+", " ")
                    .strip();
            // What a client logs is not what its tool prints.
            if (!same.isEmpty() && !same.startsWith("TIME ") && !same.startsWith("SLF4J")) {
                lines.add(same);
            }
        }
        return lines;
    }

    /** Runs a command; nothing where this version does not have its tool. */
    private static Result run(String command, String bootstrap) throws Exception {
        String[] halves = command.split(" < ", 2);
        Path folder = Path.of(System.getProperty("java.io.tmpdir"));
        String filled = halves[0].replace("BROKER", bootstrap).replace("FOLDER", folder.toString());
        if (filled.contains("TOPIC_ID")) {
            filled = filled.replace("TOPIC_ID", idOf("lines", bootstrap));
        }
        String[] words = filled.split(" ");
        Class<?> tool = null;
        for (String place : PLACES) {
            try {
                tool = Class.forName(place + words[0]);
                break;
            } catch (ClassNotFoundException absent) {
                // In one of the other places.
            }
        }
        if (tool == null) {
            return null;
        }
        String[] arguments = new String[words.length - 1];
        for (int at = 1; at < words.length; at++) {
            // A blank within a word.
            arguments[at - 1] = words[at].replace('~', ' ');
        }
        int[] code = {-1};
        Exit.Procedure end = (status, message) -> {
            if (code[0] < 0) {
                code[0] = status;
                if (message != null) {
                    System.err.println(message);
                }
            }
            throw new Ended();
        };
        Exit.setExitProcedure(end);
        Exit.setHaltProcedure(end);
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        PrintStream both = new PrintStream(printed, true, StandardCharsets.UTF_8);
        System.setOut(both);
        System.setErr(both);
        String input = halves.length == 1 ? "" : halves[1].replace("\\n", "\n");
        System.setIn(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
        Class<?> found = tool;
        // Scala's own print where the program stood when it was first used.
        FutureTask<Integer> running = new FutureTask<>(() -> scala.Console.withOut(both, () -> invoke(found, arguments)));
        Thread thread = new Thread(running, words[0]);
        thread.setDaemon(true);
        thread.start();
        int thrown;
        try {
            thrown = running.get(PATIENCE_S, TimeUnit.SECONDS);
        } catch (TimeoutException late) {
            thrown = -2;
        } finally {
            System.setOut(OUT);
            System.setErr(ERR);
            System.setIn(IN);
        }
        return new Result(code[0] >= 0 ? code[0] : thrown, printed.toString(StandardCharsets.UTF_8));
    }

    private static String idOf(String topic, String bootstrap) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).topicId().toString();
        }
    }

    private static int invoke(Class<?> tool, String[] arguments) {
        try {
            tool.getMethod("main", String[].class).invoke(null, (Object) arguments);
            return 0;
        } catch (InvocationTargetException thrown) {
            if (thrown.getCause() instanceof Ended) {
                return -1;
            }
            // As the Java machine ends.
            thrown.getCause().printStackTrace();
            return 1;
        } catch (ReflectiveOperationException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}
