import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { type Database, type Entry, Hash, List, MemberSet } from './database.ts';
import type { Reply } from './reply.ts';
import { formatDouble } from './reply.ts';
import { Request } from './request.ts';
import { ProtocolError, RequestParser } from './request-parser.ts';

const READ_CHUNK_BYTES = 1_048_576;
/** The file is written anew when it has doubled since the last time and is at least this large. */
const REWRITE_MIN_BYTES = 64 * 1024 * 1024;
/** Elements per command when a collection is written out. */
const ELEMENTS_PER_COMMAND = 64;

/**
 * The durable form of the keyspace: the changing commands themselves, one after the other, as Redis' own AOF. Commands
 * collect here while the requests of one socket read are run and reach the file in one write before any of them is
 * answered, so that an acknowledged change survives the death of the process.
 */
export class AppendOnlyFile {
  readonly #path: string;
  readonly #databases: readonly Database[];
  #descriptor: number;
  #pending: Buffer[] = [];
  /** Database that the last written command was for; -1: none yet, the next one is preceded by SELECT. */
  #selected = -1;
  #rewrittenBytes = 0;
  sizeBytes = 0;

  private constructor(path: string, databases: readonly Database[]) {
    this.#path = path;
    this.#databases = databases;
    mkdirSync(dirname(path), { recursive: true });
    this.#descriptor = openSync(path, 'a+');
  }

  /** Opens or creates the file and gives `replay` every command in it. A torn or damaged tail is cut off. */
  static open(
    path: string,
    databases: readonly Database[],
    replay: (request: Request) => void,
  ): AppendOnlyFile {
    const file = new AppendOnlyFile(path, databases);
    file.sizeBytes = file.#replay(replay);
    file.#rewrittenBytes = file.sizeBytes;
    ftruncateSync(file.#descriptor, file.sizeBytes);
    return file;
  }

  append(database: number, words: readonly (string | Buffer)[]): void {
    this.appendEncoded(database, Request.of(words).encode());
  }

  appendEncoded(database: number, encoded: Buffer): void {
    if (database !== this.#selected) {
      this.#selected = database;
      this.#pending.push(Request.of(['SELECT', String(database)]).encode());
    }
    this.#pending.push(encoded);
  }

  /** What `run` appends comes back as a whole or not at all. */
  atomically(run: () => Reply): Reply {
    const before = this.#pending.length;
    const reply = run();
    if (this.#pending.length > before + 1) {
      this.#pending.splice(before, 0, Request.of(['MULTI']).encode());
      this.#pending.push(Request.of(['EXEC']).encode());
    }
    return reply;
  }

  /** Hands everything appended so far to the operating system. Throws when that fails; nothing is forgotten then. */
  flush(): void {
    if (this.#pending.length === 0) return;
    let bytes = this.#pending.length === 1 ? (this.#pending[0] as Buffer) : Buffer.concat(this.#pending);
    this.#pending = [bytes];
    while (bytes.length > 0) {
      const written = writeSync(this.#descriptor, bytes);
      this.sizeBytes += written;
      bytes = bytes.subarray(written);
      this.#pending = [bytes];
    }
    this.#pending = [];
    if (this.sizeBytes > REWRITE_MIN_BYTES && this.sizeBytes > this.#rewrittenBytes * 2) this.rewrite();
  }

  /** Replaces the file by the shortest one with the same content. */
  rewrite(): void {
    const temporary = `${this.#path}.rewrite`;
    const descriptor = openSync(temporary, 'w');
    let size = 0;
    let batch: Buffer[] = [];
    let batchBytes = 0;
    const write = (): void => {
      const bytes = Buffer.concat(batch);
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
      size += bytes.length;
      batch = [];
      batchBytes = 0;
    };
    for (const words of contentOf(this.#databases)) {
      const encoded = Request.of(words).encode();
      batch.push(encoded);
      batchBytes += encoded.length;
      if (batchBytes > READ_CHUNK_BYTES) write();
    }
    write();
    fsyncSync(descriptor);
    closeSync(descriptor);
    renameSync(temporary, this.#path);
    closeSync(this.#descriptor);
    this.#descriptor = openSync(this.#path, 'a+');
    // What was pending is part of the content that was just written.
    this.#pending = [];
    this.#selected = -1;
    this.sizeBytes = size;
    this.#rewrittenBytes = size;
  }

  close(): void {
    this.flush();
    closeSync(this.#descriptor);
  }

  /** Number of bytes up to which the file is whole. */
  #replay(replay: (request: Request) => void): number {
    const parser = new RequestParser();
    const chunk = Buffer.allocUnsafeSlow(READ_CHUNK_BYTES);
    let position = 0;
    let whole = 0;
    let transaction: Request[] | undefined;
    for (;;) {
      const count = readSync(this.#descriptor, chunk, 0, chunk.length, position);
      if (count === 0) return whole;
      position += count;
      parser.push(Buffer.from(chunk.subarray(0, count)));
      try {
        for (let request = parser.next(); request !== undefined; request = parser.next()) {
          const name = request.text(0).toUpperCase();
          if (name === 'MULTI') transaction = [];
          else if (name === 'EXEC') {
            for (const each of transaction ?? []) replay(each);
            transaction = undefined;
          } else if (transaction !== undefined) transaction.push(request);
          else replay(request);
          if (transaction === undefined) whole = position - parser.pendingBytes;
        }
      } catch (error) {
        if (error instanceof ProtocolError) return whole;
        throw error;
      }
    }
  }
}

/** The commands that make the databases what they are. */
function* contentOf(databases: readonly Database[]): Generator<(string | Buffer)[]> {
  for (const database of databases) {
    if (database.size === 0) continue;
    yield ['SELECT', String(database.index)];
    for (const entry of database.entries(0)) {
      yield* commandsOf(entry);
      if (entry.expiresAt !== 0) yield ['PEXPIREAT', entry.key, String(entry.expiresAt)];
    }
  }
}

function* commandsOf({ key, value }: Entry): Generator<(string | Buffer)[]> {
  if (Buffer.isBuffer(value)) yield ['SET', key, value];
  else if (value instanceof Hash) yield* inPieces(['HSET', key], [...value]);
  else if (value instanceof MemberSet)
    yield* inPieces(
      ['SADD', key],
      [...value].map((member) => [member]),
    );
  else if (value instanceof List)
    yield* inPieces(
      ['RPUSH', key],
      value.items.map((item) => [item]),
    );
  else
    yield* inPieces(
      ['ZADD', key],
      value.ascending.map(([member, score]) => [formatDouble(score), member]),
    );
}

function* inPieces(
  head: readonly string[],
  elements: readonly (readonly (string | Buffer)[])[],
): Generator<(string | Buffer)[]> {
  for (let at = 0; at < elements.length; at += ELEMENTS_PER_COMMAND)
    yield [...head, ...elements.slice(at, at + ELEMENTS_PER_COMMAND).flat()];
}
