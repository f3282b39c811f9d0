// Reads an AsyncAPI document from standard input with the reference parser, and writes what it says of it as JSON.
import { text } from "node:stream/consumers";
import asyncapi from "@asyncapi/parser";

const { Parser } = asyncapi;
const { document, diagnostics } = await new Parser().parse(await text(process.stdin));
process.stdout.write(
  JSON.stringify({
    accepted: document !== undefined,
    said: diagnostics.map((one) => ({ severity: one.severity, code: one.code, path: one.path, message: one.message })),
    channels: document?.channels().all().map((one) => one.address()) ?? [],
    examples: document?.components().messages().all().flatMap((one) => one.examples().all()).length ?? 0,
  }),
);
