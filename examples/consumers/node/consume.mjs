// Handle every transition of Pegel once, however often this program is killed: consume.mjs BOOTSTRAP GROUP JOURNAL
//
// TOPIC_PREFIX in the environment is that of the deployment. What is done about a transition is a line in the journal, a
// file that stands for your database: it says too what was done already, and is written before the offset is committed.
// Several processes of one group need a database in place of the file, for partitions move between them.

import { existsSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import kafkajs from "kafkajs";
import snappy from "kafkajs-snappy";

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs;
CompressionCodecs[CompressionTypes.Snappy] = snappy; // Pegel's batches are packed so, and kafkajs alone cannot unpack them
const PREFIX = process.env.TOPIC_PREFIX ?? "";
const [TRANSITIONS, MEMBERSHIP] = [`${PREFIX}segments.transitions.v1`, `${PREFIX}segments.membership.v1`];
const MAJOR = "1";
const FORGOTTEN = -1;
const [bootstrap, group, path] = process.argv.slice(2);

const stop = (why) => {
  console.error(why);
  process.exit(1);
};

// The last transition of every account: one entry each, however long this runs.
const last = new Map();
const written = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
const whole = written.subarray(0, written.lastIndexOf(10) + 1);
const journal = openSync(path, "a");
ftruncateSync(journal, whole.length); // a line that a crash cut off was not done
for (const line of whole.toString().split("\n").filter(Boolean)) note(JSON.parse(line));

function note([account, sequence, id]) {
  last.set(account, { sequence, id });
}

function append(...entry) {
  writeSync(journal, `${JSON.stringify(entry)}\n`);
  note(entry);
}

function transition(record, place) {
  const kind = record.headers?.ce_type?.toString() ?? "no ce_type";
  if (/^pegel\.segment\.transition\.v(\d+)$/.exec(kind)?.[1] !== MAJOR) {
    stop(`${place}: ${kind} is not version ${MAJOR}: read the changelog, then change this program`);
  }
  const told = JSON.parse(record.value.toString());
  const { account_id: account, sequence, transition_id: id } = told;
  const known = last.get(account);
  if (known && (known.sequence === FORGOTTEN || sequence <= known.sequence)) {
    if (sequence === known.sequence && id !== known.id) {
      stop(`${account} ${sequence}: ${id} and ${known.id} have one number: not the log this journal is of`);
    }
    return; // a repeat
  }
  if (known && sequence !== known.sequence + 1) {
    // It is lost: the account's membership says where it is.
    console.error(`gap: ${account} ${known.sequence + 1} to ${sequence - 1}`);
  }
  append(account, sequence, id, told.direction, told.segment);
}

function membership(record) {
  const account = record.key.toString();
  if (record.value === null && last.get(account)?.sequence !== FORGOTTEN) {
    append(account, FORGOTTEN, "", "forgotten", ""); // erased: delete what you know of it
  }
}

const kafka = new Kafka({ brokers: bootstrap.split(","), logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId: group, readUncommitted: false, sessionTimeout: 6_000 });
consumer.on(consumer.events.CRASH, ({ payload }) => payload.restart || stop(payload.error.message));
await consumer.connect();
await consumer.subscribe({ topics: [TRANSITIONS, MEMBERSHIP], fromBeginning: true });
await consumer.run({
  autoCommit: false,
  eachBatchAutoResolve: false,
  eachBatch: async ({ batch, resolveOffset, heartbeat, commitOffsetsIfNecessary, uncommittedOffsets }) => {
    for (const record of batch.messages) {
      const place = `${batch.topic} ${batch.partition}:${record.offset}`;
      batch.topic === TRANSITIONS ? transition(record, place) : membership(record);
      resolveOffset(record.offset);
    }
    fsyncSync(journal); // first what was done, then that it was: a crash in between repeats, and the journal knows
    await commitOffsetsIfNecessary(uncommittedOffsets());
    await heartbeat();
  },
});
