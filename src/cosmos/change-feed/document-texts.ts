/** The service writes this property last. Nothing inside a string reads like it: a quote there has a backslash in front. */
const LAST_PROPERTY = ',"_lsn":';
const ARRAY = '"Documents":[';
const COMMA = 0x2c;
const END = 0x5d;

/**
 * The JSON of each document of a change feed reply in latest-version mode, cut from the text of the reply: who passes items
 * on need not make it again, and numbers keep all their digits. `undefined` where it cannot be told by the log sequence
 * numbers alone: one at the end of every document, and none anywhere else, or an object inside an item has such a property.
 */
export function documentTexts(
  reply: string,
  documents: readonly Readonly<Record<string, unknown>>[],
): readonly string[] | undefined {
  const texts: string[] = [];
  let start = reply.indexOf(ARRAY) + ARRAY.length;
  let at = start;
  for (const document of documents) {
    // From where the last one ended, not from where this one begins: every such property must count.
    const property = reply.indexOf(LAST_PROPERTY, at);
    if (property < 0) return undefined;
    at = reply.indexOf('}', property);
    if (reply.slice(property + LAST_PROPERTY.length, at) !== String(document['_lsn'])) return undefined;
    const next = reply.charCodeAt(at + 1);
    if (next !== COMMA && next !== END) return undefined;
    texts.push(reply.slice(start, at + 1));
    start = at + 2;
  }
  return reply.includes(LAST_PROPERTY, at) ? undefined : texts;
}
