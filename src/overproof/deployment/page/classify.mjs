// The student in JavaScript, in a page or in Node:
//
//     import * as ort from "./ort.wasm.min.mjs";
//     import { Student } from "./classify.mjs";
//     const student = await Student.load(ort, "./model.onnx");      // in Node: the bytes of the file
//     await student.probs(["so good"]);                             // [[0.1, 0.9]], in the order of student.classNames

import { about } from "./about.mjs";
import { ngrams } from "./ngrams.mjs";
import { tables } from "./unicode.mjs";

const again = "copy the whole folder web of the export again";

async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address} cannot be read (HTTP ${answer.status}): ${again}.`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** Whether the SHA-256 was compared; browsers compute one on https and localhost alone. An error for other files. */
async function isChecked(bytes) {
  const wanted = about.graph;
  if (tables.version !== about.unicode)
    throw new Error(`unicode.mjs belongs to another page than about.mjs: ${again}.`);
  if (bytes.byteLength !== wanted.num_bytes)
    throw new Error(`model.onnx has ${bytes.byteLength} bytes, and about.mjs lists ${wanted.num_bytes}: ${again}.`);
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) return false;
  const digest = new Uint8Array(await subtle.digest("SHA-256", bytes));
  const own = Array.from(digest, byte => byte.toString(16).padStart(2, "0"));
  if (own.join("") !== wanted.sha256)
    throw new Error(`model.onnx is not the graph that about.mjs lists (its SHA-256 differs): ${again}.`);
  return true;
}

export class Student {
  constructor(ort, session, checked) {
    Object.assign(this, { ort, session, checked, classNames: about.class_names });
  }

  /** @param graph The address of model.onnx, or its bytes. */
  static async load(ort, graph) {
    const bytes = typeof graph === "string" || graph instanceof URL ? await fetched(graph) : graph;
    const checked = await isChecked(bytes);
    // More threads need a page that is isolated from others, by headers of its server.
    ort.env.wasm.numThreads = 1;
    return new Student(ort, await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] }), checked);
  }

  /** The probability of every class for each text. */
  async probs(texts) {
    if (!texts.length) return [];
    const sets = texts.map(text => ngrams(text, about.encoder));
    const length = sets.reduce((most, set) => Math.max(most, set.length), 1);
    const padded = new BigInt64Array(sets.length * length);
    sets.forEach((set, row) => set.forEach((bucket, place) => (padded[row * length + place] = BigInt(bucket))));
    const input = new this.ort.Tensor("int64", padded, [sets.length, length]);
    const { probs } = await this.session.run({ ngrams: input }, ["probs"]);
    const width = this.classNames.length;
    return sets.map((_, row) => Array.from(probs.data.subarray(row * width, (row + 1) * width)));
  }
}
