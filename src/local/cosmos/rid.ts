/**
 * Resource ids: nested binary addresses in base64 with `-` for `/`. Database 4 bytes; container 4 more with the top bit set;
 * below it 8 bytes, little endian, whose last high nibble tells the type (azure-cosmos-dotnet-v3 `ResourceId.cs`).
 */
const TYPE_PARTITION_KEY_RANGE = 5;

const toText = (bytes: Buffer): string => bytes.toString('base64').replaceAll('/', '-');
const toBytes = (rid: string): Buffer => Buffer.from(rid.replaceAll('-', '/'), 'base64');

export function databaseRid(number: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE((0x1000_0000 + number * 16) >>> 0);
  return toText(bytes);
}

export function containerRid(database: string, number: number): string {
  const bytes = Buffer.alloc(8);
  toBytes(database).copy(bytes);
  bytes.writeUInt32BE((0x8000_0000 | number) >>> 0, 4);
  return toText(bytes);
}

export function partitionKeyRangeRid(container: string, number: number): string {
  const bytes = childBytes(container, number + 2);
  bytes[15] = TYPE_PARTITION_KEY_RANGE << 4;
  return toText(bytes);
}

/** A function from document number to rid, with the container's half prepared: it runs once per written item. */
export function documentRids(container: string): (number: number) => string {
  const bytes = childBytes(container, 0);
  return (number) => {
    bytes.writeUInt32LE(number >>> 0, 8);
    bytes.writeUInt32LE(Math.floor(number / 2 ** 32) & 0x0fff_ffff, 12);
    return toText(bytes);
  };
}

/** The document number inside a rid; `undefined` when the text is no document rid of this container. */
export function documentNumber(rid: string, container: string): number | undefined {
  const bytes = toBytes(rid);
  if (bytes.length !== 16 || !bytes.subarray(0, 8).equals(toBytes(container))) return undefined;
  if ((bytes[15] as number) >> 4 !== 0) return undefined;
  return bytes.readUInt32LE(12) * 2 ** 32 + bytes.readUInt32LE(8);
}

function childBytes(container: string, number: number): Buffer {
  const bytes = Buffer.alloc(16);
  toBytes(container).copy(bytes);
  bytes.writeUInt32LE(number, 8);
  return bytes;
}
