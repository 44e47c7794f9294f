const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const COMMA = 0x2c;
const END = 0x5d;
const ARRAY = '"Documents":[';

/**
 * The texts of the objects in the array `Documents` of a reply, in their order: who passes items on as JSON need not make
 * it again, and numbers keep all their digits. `undefined` where the reply is not written the way the service does, without
 * spaces, or has another number of objects than `count`.
 */
export function documentTexts(reply: string, count: number): readonly string[] | undefined {
  const texts: string[] = [];
  let at = reply.indexOf(ARRAY);
  if (at < 0) return undefined;
  at += ARRAY.length;
  for (let next = COMMA; next === COMMA; ) {
    const end = endOfObject(reply, at);
    if (end < 0) return undefined;
    texts.push(reply.slice(at, end));
    next = reply.charCodeAt(end);
    if (next !== COMMA && next !== END) return undefined;
    at = end + 1;
  }
  return texts.length === count ? texts : undefined;
}

/** Where the object that begins at `start` ends, -1 where there is none. */
function endOfObject(text: string, start: number): number {
  if (text.charCodeAt(start) !== OPEN) return -1;
  const { length } = text;
  let depth = 0;
  for (let at = start; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === OPEN) depth++;
    else if (code === CLOSE && --depth === 0) return at + 1;
  }
  return -1;
}

/** Where the closing quote of the string is that opens at `quote`. */
function endOfString(text: string, quote: number): number {
  const { length } = text;
  let at = quote + 1;
  for (; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) break;
    if (code === BACKSLASH) at++;
  }
  return at;
}
