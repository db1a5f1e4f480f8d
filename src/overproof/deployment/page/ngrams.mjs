// A text as the sorted set of its hashed n-grams, as overproof/models/ngram_hashes.py makes it (see there for the
// tokens and the hash). unicode.mjs has the tables of the Python that exported the student.

import { tables } from "./unicode.mjs";

const BASE = 0x9E3779B97F4A7C15n, SALT = 0xD1B54A32D192ED03n;
const MIX_1 = 0xBF58476D1CE4E5B9n, MIX_2 = 0x94D049BB133111EBn;
const modulo = value => BigInt.asUintN(64, value);

const within = ranges => ranges.map(pair => pair.map(code => `\\u{${code.toString(16)}}`).join("-")).join("");
const unseen = new RegExp(`[${within(tables.unseen)}]`, "gu");
const assigned = new RegExp(`[^${within(tables.unassigned)}]+`, "gu");
const [word, space] = [tables.word, tables.space].map(within);
const token = new RegExp(`[${word}]+|[^${word}${space}]`, "gu");
const folded = new Map(tables.folded);

/** NFKC by the Unicode version of the tables: characters of later versions stay as they are. */
const composed = text => text.replace(assigned, part => part.normalize("NFKC"));

/** The text in NFKC_Casefold. */
export function normalised(text) {
  const kept = composed(text).replace(unseen, "");
  return composed(Array.from(kept, character => folded.get(character) ?? character).join(""));
}

/** The tokens of a normalised text. */
export const tokensOf = normal => normal.match(token) ?? [];

/** An error where this browser has a Unicode version before that of the tables. */
function check() {
  let sum = 0;
  for (const [first, last] of tables.changed)
    for (let code = first; code <= last; code++)
      for (const character of String.fromCodePoint(code).normalize("NFKC"))
        sum = (31 * sum + character.codePointAt(0)) % 4294967291;
  if (sum !== tables.sum)
    throw new Error(`This browser does not know Unicode ${tables.version}, with which the student reads texts.`);
}
check();

function bucket(codes, start, stop, salt, buckets) {
  let hash = 0n;
  for (let place = stop - 1; place >= start; place--) hash = modulo(hash * BASE + codes[place]);
  hash = modulo(hash + salt);
  hash = modulo((hash ^ (hash >> 30n)) * MIX_1);
  hash = modulo((hash ^ (hash >> 27n)) * MIX_2);
  return Number((hash ^ (hash >> 31n)) >> 32n) % (buckets - 1) + 1;
}

/** Code points plus one, which is what the hash adds up. */
const codesOf = text => Array.from(text, character => BigInt(character.codePointAt(0) + 1));

/**
 * The sorted buckets of a text.
 *
 * @param {string} text
 * @param {{words: ?number[], characters: ?number[], buckets: number, max_characters: number}} encoder
 * @returns {number[]}
 */
export function ngrams(text, { words, characters, buckets, max_characters }) {
  const cut = Array.from(text.toWellFormed()).slice(0, max_characters).join("");
  const tokens = tokensOf(normalised(cut));
  const found = new Set();
  for (let n = words?.[0]; n <= words?.[1]; n++)
    for (let first = 0; first + n <= tokens.length; first++) {
      const codes = codesOf(tokens.slice(first, first + n).join(" "));
      found.add(bucket(codes, 0, codes.length, 0n, buckets));
    }
  for (const one of characters ? new Set(tokens) : []) {
    const codes = codesOf(` ${one} `);
    for (let n = characters[0]; n <= characters[1]; n++)
      for (let start = 0; start + n <= codes.length; start++)
        found.add(bucket(codes, start, start + n, SALT, buckets));
  }
  return [...found].sort((one, other) => one - other);
}
