import { MAX_NESTING } from './errors.ts';
import { ARRAY_STEP, type PolicyNode } from './indexing-policy.ts';
import type { JsonCursor } from './json-cursor.ts';
import type { NameFilter } from './name-filter.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Gets properties of the outermost object: the name, and where the value begins and ends. */
export interface PropertyVisitor {
  /** The properties that are wanted; others may come too. */
  readonly names: NameFilter;
  property(name: string, start: number, end: number): void;
}

/** What the walk through one text found. */
export interface TextTerms {
  terms: number;
  /** Nested deeper than the service allows; the terms are of no use then. */
  tooDeep: boolean;
}

/**
 * Moves past a JSON value, checks it, and adds up the index terms in it.
 *
 * @throws SyntaxError when the text is not JSON
 */
export function scanTerms(
  cursor: JsonCursor,
  found: TextTerms,
  node: PolicyNode | undefined,
  inherited: boolean,
  depth = 0,
  visitor?: PropertyVisitor,
): void {
  const byte = cursor.peek();
  if (byte !== OPEN_BRACE && byte !== OPEN_BRACKET) {
    cursor.scalar();
    found.terms += scalarTerms(node, inherited);
    return;
  }
  if (depth > MAX_NESTING) found.tooDeep = true;
  cursor.at++;
  const below = node?.subtree ?? inherited;
  const children = node !== undefined && node.children.size > 0 ? node.children : undefined;
  const isObject = byte === OPEN_BRACE;
  const close = isObject ? CLOSE_BRACE : CLOSE_BRACKET;
  if (cursor.peek() === close) {
    cursor.at++;
    return;
  }
  const element = isObject ? undefined : children?.get(ARRAY_STEP);
  for (;;) {
    let child = element;
    let name: string | undefined;
    if (isObject) {
      name = wantedName(cursor, node, visitor);
      child = name === undefined ? undefined : children?.get(name);
      cursor.expect(COLON);
    }
    const first = cursor.peek();
    const start = cursor.at;
    if (first === OPEN_BRACE || first === OPEN_BRACKET) scanTerms(cursor, found, child, below, depth + 1);
    else {
      cursor.scalar();
      found.terms += scalarTerms(child, below);
    }
    if (name !== undefined) visitor?.property(name, start, cursor.at);
    if (cursor.peek() === close) break;
    cursor.expect(COMMA);
  }
  cursor.at++;
}

const scalarTerms = (node: PolicyNode | undefined, inherited: boolean): number =>
  (node === undefined ? inherited : (node.value ?? node.subtree ?? inherited)) ? 1 : 0;

/** Moves past a property name, and makes it a string only when the policy or the visitor may know it. */
function wantedName(
  cursor: JsonCursor,
  node: PolicyNode | undefined,
  visitor: PropertyVisitor | undefined,
): string | undefined {
  cursor.peek();
  const start = cursor.at;
  cursor.string();
  const { bytes, at, escaped } = cursor;
  const wanted =
    node?.names.mayInclude(bytes, start, at, escaped) || visitor?.names.mayInclude(bytes, start, at, escaped);
  if (wanted !== true) return undefined;
  return escaped
    ? (JSON.parse(bytes.toString('utf8', start, at)) as string)
    : bytes.toString('utf8', start + 1, at - 1);
}

/**
 * Index terms removed plus index terms added between two items, when their texts have the same properties in the same
 * order; undefined when they have not and must be compared as values. Both cursors stand on an opening brace of text known
 * to be valid. The outer object of `before` ends at `beforeEnd`, where the service's own properties follow instead of a
 * brace.
 */
export function changedTermsInText(
  before: JsonCursor,
  beforeEnd: number,
  after: JsonCursor,
  node: PolicyNode | undefined,
  inherited: boolean,
): number | undefined {
  before.at++;
  after.at++;
  const below = node?.subtree ?? inherited;
  const children = node !== undefined && node.children.size > 0 ? node.children : undefined;
  let terms = 0;
  for (let first = true; ; first = false) {
    const beforeDone = before.peek() === CLOSE_BRACE || before.at >= beforeEnd;
    const afterDone = after.peek() === CLOSE_BRACE;
    if (beforeDone !== afterDone) return undefined;
    if (beforeDone) break;
    if (!first) {
      before.at++;
      after.at++;
    }
    before.peek();
    after.peek();
    const start = after.at;
    const name = wantedName(after, node, undefined);
    const end = before.at + after.at - start;
    if (!sameBytes(before.bytes, before.at, after.bytes, start, after.at - start)) return undefined;
    before.at = end;
    const child = name === undefined ? undefined : children?.get(name);
    before.expect(COLON);
    after.expect(COLON);
    const changed = changedInValue(before, after, child, below);
    if (changed === undefined) return undefined;
    terms += changed;
  }
  before.at++;
  after.at++;
  return terms;
}

function changedInValue(
  before: JsonCursor,
  after: JsonCursor,
  node: PolicyNode | undefined,
  inherited: boolean,
): number | undefined {
  const kindBefore = before.peek();
  const kindAfter = after.peek();
  if (kindBefore === OPEN_BRACE && kindAfter === OPEN_BRACE)
    return changedTermsInText(before, Number.POSITIVE_INFINITY, after, node, inherited);
  if (isNested(kindBefore) || isNested(kindAfter)) return changedInNested(before, after, node, inherited);
  const startBefore = before.at;
  const startAfter = after.at;
  before.skipScalar();
  after.skipScalar();
  if (sameText(before, startBefore, after, startAfter)) return 0;
  // 1.0 is 1, and a string may be escaped in several ways.
  const sameLength = before.at - startBefore === after.at - startAfter;
  if (!sameLength && kindBefore !== QUOTE && kindAfter !== QUOTE) {
    if (numberIn(before, startBefore) === numberIn(after, startAfter)) return 0;
  } else if (before.escaped || after.escaped) return undefined;
  return 2 * scalarTerms(node, inherited);
}

/** Arrays are equal when their texts are; else their elements must be compared as values. */
function changedInNested(
  before: JsonCursor,
  after: JsonCursor,
  node: PolicyNode | undefined,
  inherited: boolean,
): number | undefined {
  const startBefore = before.at;
  const startAfter = after.at;
  const bothArrays = before.peek() === OPEN_BRACKET && after.peek() === OPEN_BRACKET;
  const found = { terms: 0, tooDeep: false };
  scanTerms(before, found, node, inherited);
  scanTerms(after, found, node, inherited);
  if (!bothArrays) return found.terms;
  return sameText(before, startBefore, after, startAfter) ? 0 : undefined;
}

const isNested = (byte: number): boolean => byte === OPEN_BRACE || byte === OPEN_BRACKET;

const numberIn = ({ bytes, at }: JsonCursor, start: number): unknown =>
  JSON.parse(bytes.toString('utf8', start, at)) as unknown;

/** Whether what lies between the starts and where the cursors are is the same, byte for byte. */
function sameText(a: JsonCursor, startA: number, b: JsonCursor, startB: number): boolean {
  const length = a.at - startA;
  return length === b.at - startB && sameBytes(a.bytes, startA, b.bytes, startB, length);
}

function sameBytes(a: Buffer, startA: number, b: Buffer, startB: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[startA + i] !== b[startB + i]) return false;
  return true;
}
