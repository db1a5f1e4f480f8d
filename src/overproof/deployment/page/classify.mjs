// The student in JavaScript, in a page or in Node:
//
//     import * as ort from "./ort.wasm.min.mjs";
//     import { Student } from "./classify.mjs";
//     const student = await Student.load(ort, "./model.onnx");      // in Node: the bytes of the file
//     await student.probs(["so good"]);                             // [[0.1, 0.9]], in the order of student.classNames

import { about } from "./about.mjs";
import { ngrams } from "./ngrams.mjs";

export class Student {
  constructor(ort, session) {
    Object.assign(this, { ort, session, classNames: about.class_names });
  }

  /** @param graph The address of model.onnx, or its bytes. */
  static async load(ort, graph) {
    // More threads need a page that is isolated from others, by headers of its server.
    ort.env.wasm.numThreads = 1;
    return new Student(ort, await ort.InferenceSession.create(graph, { executionProviders: ["wasm"] }));
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
