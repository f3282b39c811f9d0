package dev.pegel.comparison;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The job of the comparison on Kafka Streams: ten segments per account, evaluated on each event.
 *
 * <p>Deadlines fire on the account's own next event. They are the midnights since its last one, for windows are made of
 * days, and the ages at which a rule changes by itself. To evaluate once too often changes nothing.
 */
public final class TenSegments {
  static final String STORE = "accounts";
  static final long DAY_MS = 86_400_000L;
  static final long[] AGES_MS = {4 * DAY_MS, 11 * DAY_MS, 14 * DAY_MS};
  static final int DAYS = 28;
  static final int USER_DAYS = 7;
  static final ObjectMapper JSON = new ObjectMapper();

  static final List<String> SEGMENTS =
      List.of(
          "new", "expiring", "surging", "active_days", "at_risk", "heating_up", "cooling_down",
          "under_adopted", "multi_user", "power");
  static final int SURGING = 2;
  static final Map<String, Integer> WEIGHTS =
      Map.of(
          "report_created", 3, "dashboard_shared", 4, "integration_connected", 10,
          "user_invited", 5, "export_run", 2);
  static final List<String> CORE =
      List.of(
          "report_created", "dashboard_shared", "integration_connected", "export_run",
          "alert_created", "api_called");

  @JsonIgnoreProperties(ignoreUnknown = true)
  record Event(String userId, String event, String timestamp) {}

  record Transition(
      String account_id, String segment, String direction, long effective_at, long sequence) {}

  /** What is known of an account. Index 0 of the arrays is the day of `now`, 1 the day before. */
  static final class Account {
    long now;
    long signedUpAt;
    long sequence;
    int members;
    int[] events = new int[DAYS];
    int[] scores = new int[DAYS];
    int[] coreDays = new int[CORE.size()];
    Map<String, Integer> users = new HashMap<>();

    Account(long at) {
      now = at;
      signedUpAt = at;
    }

    int today() {
      return (int) (now / DAY_MS);
    }

    void moveTo(long at) {
      int days = (int) (at / DAY_MS) - today();
      now = at;
      if (days == 0) {
        return;
      }
      shift(events, days);
      shift(scores, days);
      users.values().removeIf(day -> day <= today() - USER_DAYS);
    }

    private static void shift(int[] days, int by) {
      int kept = Math.max(0, DAYS - by);
      System.arraycopy(days, 0, days, DAYS - kept, kept);
      Arrays.fill(days, 0, DAYS - kept, 0);
    }

    void apply(Event event) {
      events[0]++;
      scores[0] += WEIGHTS.getOrDefault(event.event, 1);
      int core = CORE.indexOf(event.event);
      if (core >= 0) {
        coreDays[core] = today();
      }
      users.put(event.userId, today());
    }

    long nextDeadline() {
      long next = (today() + 1) * DAY_MS;
      for (long age : AGES_MS) {
        if (signedUpAt + age > now) {
          next = Math.min(next, signedUpAt + age);
        }
      }
      return next;
    }

    int sum(int[] of, int days, int before) {
      int sum = 0;
      for (int age = before; age < before + days; age++) {
        sum += of[age];
      }
      return sum;
    }

    int decide() {
      double age = (now - signedUpAt) / (double) DAY_MS;
      int score3 = sum(scores, 3, 0);
      int score3Before = sum(scores, 3, 3);
      int score7 = sum(scores, 7, 0);
      int score7Before = sum(scores, 7, 7);
      int score14 = sum(scores, 14, 0);
      int score14Before = sum(scores, 14, 14);
      int activeDays = 0;
      for (int day = 0; day < 7; day++) {
        activeDays += events[day] > 0 ? 1 : 0;
      }
      int core = 0;
      for (int day : coreDays) {
        core += day > today() - DAYS ? 1 : 0;
      }
      boolean calm = score3 < 1.2 * score3Before;
      boolean surging =
          !calm && (isMember(SURGING) || (score3 >= 10 && score3 >= 2 * score3Before));
      boolean[] holds = {
        age < 4,
        11 <= age && age < 14,
        surging,
        activeDays >= 5,
        score14Before >= 10 && score14 < 0.5 * score14Before,
        score7 >= 10 && score7 >= 1.5 * score7Before,
        score7Before >= 10 && score7 <= 0.5 * score7Before,
        core < 3,
        users.size() >= 3,
        sum(events, 28, 0) >= 50 && core >= 4,
      };
      int decided = 0;
      for (int segment = 0; segment < holds.length; segment++) {
        decided |= holds[segment] ? 1 << segment : 0;
      }
      return decided;
    }

    boolean isMember(int segment) {
      return (members >> segment & 1) == 1;
    }
  }

  static final class Accounts {
    private Accounts() {}

    static byte[] write(String topic, Account account) {
      if (account == null) {
        return null;
      }
      var bytes = new ByteArrayOutputStream(256);
      try (var out = new DataOutputStream(bytes)) {
        out.writeLong(account.now);
        out.writeLong(account.signedUpAt);
        out.writeLong(account.sequence);
        out.writeShort(account.members);
        for (int day = 0; day < DAYS; day++) {
          if (account.events[day] > 0) {
            out.writeByte(day);
            out.writeInt(account.events[day]);
            out.writeInt(account.scores[day]);
          }
        }
        out.writeByte(DAYS);
        for (int day : account.coreDays) {
          out.writeInt(day);
        }
        out.writeShort(account.users.size());
        for (var user : account.users.entrySet()) {
          out.writeUTF(user.getKey());
          out.writeInt(user.getValue());
        }
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
      return bytes.toByteArray();
    }

    static Account read(String topic, byte[] bytes) {
      if (bytes == null) {
        return null;
      }
      try (var in = new DataInputStream(new ByteArrayInputStream(bytes))) {
        var account = new Account(in.readLong());
        account.signedUpAt = in.readLong();
        account.sequence = in.readLong();
        account.members = in.readShort();
        for (int day = in.readByte(); day < DAYS; day = in.readByte()) {
          account.events[day] = in.readInt();
          account.scores[day] = in.readInt();
        }
        for (int core = 0; core < CORE.size(); core++) {
          account.coreDays[core] = in.readInt();
        }
        for (int left = in.readShort(); left > 0; left--) {
          account.users.put(in.readUTF(), in.readInt());
        }
        return account;
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }
  }

  static final class Engagement implements Processor<String, byte[], String, byte[]> {
    private ProcessorContext<String, byte[]> context;
    private KeyValueStore<String, Account> accounts;

    @Override
    public void init(ProcessorContext<String, byte[]> context) {
      this.context = context;
      this.accounts = context.getStateStore(STORE);
    }

    @Override
    public void process(Record<String, byte[]> record) {
      try {
        Event event = JSON.readValue(record.value(), Event.class);
        long at = Instant.parse(event.timestamp).toEpochMilli();
        Account account = accounts.get(record.key());
        if (account == null) {
          account = new Account(at);
        }
        for (long next = account.nextDeadline(); next <= at; next = account.nextDeadline()) {
          account.moveTo(next);
          evaluate(record, account);
        }
        account.moveTo(at);
        account.apply(event);
        evaluate(record, account);
        accounts.put(record.key(), account);
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }

    private void evaluate(Record<String, byte[]> record, Account account) throws IOException {
      int decided = account.decide();
      int changed = decided ^ account.members;
      account.members = decided;
      for (int segment = 0; changed != 0; segment++, changed >>= 1) {
        if ((changed & 1) == 1) {
          var direction = account.isMember(segment) ? "entered" : "exited";
          var transition =
              new Transition(
                  record.key(), SEGMENTS.get(segment), direction, account.now, ++account.sequence);
          context.forward(record.withValue(JSON.writeValueAsBytes(transition)));
        }
      }
    }
  }

  private TenSegments() {}

  static Topology topology(String events, String transitions, String store) {
    var supplier =
        switch (store) {
          case "memory" -> Stores.inMemoryKeyValueStore(STORE);
          case "rocksdb" -> Stores.persistentKeyValueStore(STORE);
          default -> throw new IllegalArgumentException("no such store: " + store);
        };
    var serde = Serdes.serdeFrom(Accounts::write, Accounts::read);
    var builder =
        Stores.keyValueStoreBuilder(supplier, Serdes.String(), serde)
            .withLoggingEnabled(Map.of())
            .withCachingEnabled();
    var text = Serdes.String();
    var bytes = Serdes.ByteArray();
    return new Topology()
        .addSource("events", text.deserializer(), bytes.deserializer(), events)
        .addProcessor("engagement", Engagement::new, "events")
        .addStateStore(builder, "engagement")
        .addSink(
            "transitions", transitions, text.serializer(), bytes.serializer(), "engagement");
  }

  /**
   * Arguments: bootstrap, application id, topic of events, topic of transitions, guarantee, commit
   * interval in ms, store, folder.
   */
  public static void main(String[] args) throws InterruptedException {
    var properties = new Properties();
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, args[1]);
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[4]);
    properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, args[5]);
    properties.put(StreamsConfig.STATE_DIR_CONFIG, args[7]);
    properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    properties.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");

    var streams = new KafkaStreams(topology(args[2], args[3], args[6]), properties);
    var ended = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  streams.close(Duration.ofSeconds(20));
                  ended.countDown();
                }));
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          Runtime.getRuntime().halt(1);
          return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
    streams.start();
    ended.await();
  }
}
