/**
 * The partition that the Event Hubs service chooses for a partition key.
 *
 * Bob Jenkins' lookup3 (http://burtleburtle.net/bob/c/lookup3.c) over the UTF-8 bytes, both seeds 0; the two result
 * words are folded to a signed 16-bit number. Same as `mapPartitionKeyToId` of @azure/event-hubs and
 * `PartitionResolver` of Azure.Messaging.EventHubs.
 *
 * @returns an index in [0, partitionCount).
 */
export function partitionForKey(partitionKey: string, partitionCount: number): number {
  return partitionForKeyBytes(Buffer.from(partitionKey, 'utf8'), partitionCount);
}

/** As {@link partitionForKey}, for a key that is UTF-8 bytes already. */
export function partitionForKeyBytes(key: Uint8Array, partitionCount: number): number {
  const { length } = key;
  let a = (0xdeadbeef + length) | 0;
  let b = a;
  let c = a;
  let index = 0;
  let left = length;
  while (left > 12) {
    a = (a + word(key, index)) | 0;
    b = (b + word(key, index + 4)) | 0;
    c = (c + word(key, index + 8)) | 0;
    a = ((a - c) | 0) ^ rotate(c, 4);
    c = (c + b) | 0;
    b = ((b - a) | 0) ^ rotate(a, 6);
    a = (a + c) | 0;
    c = ((c - b) | 0) ^ rotate(b, 8);
    b = (b + a) | 0;
    a = ((a - c) | 0) ^ rotate(c, 16);
    c = (c + b) | 0;
    b = ((b - a) | 0) ^ rotate(a, 19);
    a = (a + c) | 0;
    c = ((c - b) | 0) ^ rotate(b, 4);
    b = (b + a) | 0;
    index += 12;
    left -= 12;
  }
  if (left > 0) {
    a = (a + word(key, index)) | 0;
    b = (b + word(key, index + 4)) | 0;
    c = (c + word(key, index + 8)) | 0;
    c = ((c ^ b) - rotate(b, 14)) | 0;
    a = ((a ^ c) - rotate(c, 11)) | 0;
    b = ((b ^ a) - rotate(a, 25)) | 0;
    c = ((c ^ b) - rotate(b, 16)) | 0;
    a = ((a ^ c) - rotate(c, 4)) | 0;
    b = ((b ^ a) - rotate(a, 14)) | 0;
    c = ((c ^ b) - rotate(b, 24)) | 0;
  }
  const folded = ((c ^ b) << 16) >> 16;
  return Math.abs(folded % partitionCount);
}

/** Little-endian 32-bit word; bytes beyond the end count as zero. */
function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] ?? 0) |
    ((bytes[at + 1] ?? 0) << 8) |
    ((bytes[at + 2] ?? 0) << 16) |
    ((bytes[at + 3] ?? 0) << 24)
  );
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
