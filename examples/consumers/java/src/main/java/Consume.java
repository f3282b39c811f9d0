import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Handles every transition of Pegel once, however often this program is killed: Consume BOOTSTRAP GROUP JOURNAL
 *
 * <p>TOPIC_PREFIX in the environment is that of the deployment. What is done about a transition is a line in the
 * journal, a file that stands for your database: it says too what was done already, and is written before the offset is
 * committed. Several processes of one group need a database in place of the file, for partitions move between them.
 */
public final class Consume {
  private static final String PREFIX = System.getenv().getOrDefault("TOPIC_PREFIX", "");
  private static final String TRANSITIONS = PREFIX + "segments.transitions.v1";
  private static final String MEMBERSHIP = PREFIX + "segments.membership.v1";
  private static final String TYPE = "pegel.segment.transition.v";
  private static final String MAJOR = "1";
  private static final long FORGOTTEN = -1;
  private static final ObjectMapper JSON = new ObjectMapper();

  private record Known(long sequence, String id) {}

  /** The last transition of every account: one entry each, however long this runs. */
  private final Map<String, Known> last = new HashMap<>();
  private final RandomAccessFile journal;

  private Consume(String path) throws IOException {
    journal = new RandomAccessFile(path, "rw");
    byte[] written = new byte[(int) journal.length()];
    journal.readFully(written);
    int end = written.length;
    while (end > 0 && written[end - 1] != '\n') end--;
    journal.setLength(end); // a line that a crash cut off was not done
    journal.seek(end);
    for (String line : new String(written, 0, end, StandardCharsets.UTF_8).split("\n")) {
      if (!line.isEmpty()) note(JSON.readTree(line));
    }
  }

  private void note(JsonNode entry) {
    last.put(entry.get(0).asText(), new Known(entry.get(1).asLong(), entry.get(2).asText()));
  }

  private void append(Object... entry) throws IOException {
    journal.write((JSON.writeValueAsString(entry) + "\n").getBytes(StandardCharsets.UTF_8));
    note(JSON.valueToTree(entry));
  }

  private void transition(ConsumerRecord<String, String> record) throws IOException {
    String kind = Optional.ofNullable(record.headers().lastHeader("ce_type"))
        .map(header -> new String(header.value(), StandardCharsets.UTF_8)).orElse("no ce_type");
    if (!kind.equals(TYPE + MAJOR)) {
      String place = record.topic() + " " + record.partition() + ":" + record.offset();
      stop(place + ": " + kind + " is not version " + MAJOR + ": read the changelog, then change this program");
    }
    JsonNode told = JSON.readTree(record.value());
    String account = told.get("account_id").asText();
    long sequence = told.get("sequence").asLong();
    String id = told.get("transition_id").asText();
    Known known = last.get(account);
    if (known != null && (known.sequence() == FORGOTTEN || sequence <= known.sequence())) {
      if (sequence == known.sequence() && !id.equals(known.id())) {
        stop(account + " " + sequence + ": " + id + " and " + known.id()
            + " have one number: not the log this journal is of");
      }
      return; // a repeat
    }
    if (known != null && sequence != known.sequence() + 1) {
      // It is lost: the account's membership says where it is.
      System.err.println("gap: " + account + " " + (known.sequence() + 1) + " to " + (sequence - 1));
    }
    append(account, sequence, id, told.get("direction").asText(), told.get("segment").asText());
  }

  private void membership(ConsumerRecord<String, String> record) throws IOException {
    Known known = last.get(record.key());
    if (record.value() == null && (known == null || known.sequence() != FORGOTTEN)) {
      append(record.key(), FORGOTTEN, "", "forgotten", ""); // erased: delete what you know of it
    }
  }

  private static void stop(String why) {
    System.err.println(why);
    System.exit(1);
  }

  public static void main(String[] arguments) throws IOException {
    Consume consume = new Consume(arguments[2]);
    Map<String, Object> config = Map.of(
        "bootstrap.servers", arguments[0], "group.id", arguments[1], "auto.offset.reset", "earliest",
        "isolation.level", "read_committed", "enable.auto.commit", false, "session.timeout.ms", 6_000);
    try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
      consumer.subscribe(List.of(TRANSITIONS, MEMBERSHIP));
      while (true) {
        ConsumerRecords<String, String> records = consumer.poll(Duration.ofSeconds(1));
        for (ConsumerRecord<String, String> record : records) {
          if (record.topic().equals(TRANSITIONS)) consume.transition(record);
          else consume.membership(record);
        }
        if (!records.isEmpty()) {
          // First what was done, then that it was: a crash in between repeats, and the journal knows.
          consume.journal.getFD().sync();
          consumer.commitSync();
        }
      }
    }
  }
}
