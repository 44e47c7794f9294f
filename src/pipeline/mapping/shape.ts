import type { JsonObject } from './template.ts';

/**
 * Reads a few outermost properties of JSON objects that resemble each other, which events of one producer do, without making
 * values of the rest. The first objects are parsed; the text of each becomes regular expressions in which names,
 * punctuation and white space stand for themselves and every scalar for any scalar. What matches as a whole is therefore a
 * JSON object with these properties, and what does not match is parsed.
 */
export interface ShapeReader {
  /**
   * The wanted properties of a text in ASCII of a known shape, those that it lacks undefined; `undefined` when it must be
   * parsed. The object is filled again by the next call.
   */
  read(bytes: Buffer, text: string): Readonly<JsonObject> | undefined;
  /** Shows a text that had to be parsed and is a JSON object. */
  learn(text: string): void;
}

interface Shape {
  /** Sticky; the pieces before, between and behind the wanted values, the last to the end of the text. */
  readonly pieces: readonly RegExp[];
  /** Names of the wanted properties, in their order in the text. */
  readonly names: readonly string[];
}

/** Texts beyond this are rare, and parsing costs little beside storing them. */
const MAX_TEXT_LENGTH = 16_384;
const MAX_SHAPES = 4;
/** Where most events differ in shape, trying is in vain: after so many misses, less hits, parse so many without a try. */
const MOST_MISSES = 32;
const PAUSE = 2_000;

/** Printable ASCII without quote and backslash: a string that is its own value. */
const STRING = '"[ !#-\\[\\]-~]*"';
const NUMBER = '-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE][-+]?[0-9]+)?';
const LITERAL = 'true|false|null';
const SCALAR = `(?:${STRING}|${NUMBER}|${LITERAL})`;
/** The same, with what is likelier first. */
const SCALAR_LIKE_NUMBER = `(?:${NUMBER}|${STRING}|${LITERAL})`;
const TOKEN = new RegExp(`(${STRING})|(${NUMBER}|${LITERAL})|[\\[\\]{}:,]|[ \\t\\r\\n]+`, 'y');
const VALUE = new RegExp(SCALAR, 'y');
const QUOTE = 0x22;

/** @param wanted names of outermost properties */
export function createShapeReader(wanted: readonly string[]): ShapeReader {
  const found: JsonObject = {};
  let shapes: Shape[] = [];
  let misses = 0;
  let pause = 0;
  return {
    read(bytes, text) {
      if (pause > 0) {
        pause--;
        return undefined;
      }
      for (let i = 0; i < shapes.length; i++) {
        const shape = shapes[i] as Shape;
        for (const name of wanted) found[name] = undefined;
        if (!readShape(shape, bytes, text, found)) continue;
        if (i > 0) shapes = [shape, ...shapes.filter((other) => other !== shape)];
        if (misses > 0) misses--;
        return found;
      }
      return undefined;
    },
    learn(text) {
      if (pause > 0 || text.length > MAX_TEXT_LENGTH) return;
      if (++misses > MOST_MISSES) {
        misses = 0;
        pause = PAUSE;
        shapes = [];
        return;
      }
      const shape = shapeOf(text, wanted);
      if (shape !== undefined) shapes = [shape, ...shapes.slice(0, MAX_SHAPES - 1)];
    },
  };
}

function readShape({ pieces, names }: Shape, bytes: Buffer, text: string, found: JsonObject): boolean {
  let at = 0;
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i] as RegExp;
    piece.lastIndex = at;
    if (!piece.test(text)) return false;
    at = piece.lastIndex;
    if (i === names.length) break;
    VALUE.lastIndex = at;
    if (!VALUE.test(text)) return false;
    // A slice of the text would keep all of it in memory as long as the id is needed.
    found[names[i] as string] =
      bytes[at] === QUOTE
        ? bytes.toString('latin1', at + 1, VALUE.lastIndex - 1)
        : JSON.parse(text.slice(at, VALUE.lastIndex));
    at = VALUE.lastIndex;
  }
  return true;
}

/** The shape of a text that is a JSON object, `undefined` for one with anything unusual in it. */
function shapeOf(text: string, wanted: readonly string[]): Shape | undefined {
  const names: string[] = [];
  const pieces: string[] = [''];
  const open: ('{' | '[')[] = [];
  let name = '';
  let expectsName = false;
  const add = (pattern: string): void => {
    pieces[pieces.length - 1] += pattern;
  };
  for (TOKEN.lastIndex = 0; TOKEN.lastIndex < text.length; ) {
    const match = TOKEN.exec(text);
    if (match === null) return undefined;
    const [token, string, bare] = match;
    if (string !== undefined && expectsName) {
      if (open.length === 1) name = string.slice(1, -1);
      expectsName = false;
      add(escapeForRegExp(string));
      continue;
    }
    const isWanted = open.length === 1 && wanted.includes(name);
    if (string !== undefined || bare !== undefined) {
      if (!isWanted) add(string === undefined ? SCALAR_LIKE_NUMBER : SCALAR);
      else {
        names.push(name);
        pieces.push('');
      }
      continue;
    }
    if (token === '{' || token === '[') {
      if (isWanted) return undefined;
      open.push(token);
    } else if (token === '}' || token === ']') open.pop();
    if (token === '{' || token === ',') expectsName = open.at(-1) === '{';
    add(escapeForRegExp(token));
  }
  // Of a doubled name the parser keeps the last.
  if (new Set(names).size !== names.length) return undefined;
  const last = pieces.length - 1;
  return {
    pieces: pieces.map((piece, i) => new RegExp(i === last ? `${piece}$` : piece, 'y')),
    names,
  };
}

const escapeForRegExp = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
