import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes of short-lived buffers after which the young generation is collected; V8 itself waits for 32 MB. */
const EVERY_BYTES = 4 * 1024 * 1024;

type Collect = (options: { readonly type: 'minor' }) => void;

/**
 * For code that has megabytes of buffers made and dropped per second beneath it, as sending through rhea does (a buffer
 * per frame, rhea/lib/frames.js). Such buffers live outside V8's heap and do not fill its young generation, so V8 frees
 * them by a full collection of 5 to 60 ms, several a second, and events become late. A young collection frees them in
 * about one. Call the returned function with the bytes that were sent.
 */
export function youngCollector(): (bytes: number) => void {
  const collect = exposedCollector();
  let since = 0;
  return (bytes) => {
    since += bytes;
    if (since < EVERY_BYTES) return;
    since = 0;
    collect?.({ type: 'minor' });
  };
}

/** `gc` as `node --expose-gc` offers it; absent in engines without the flag. */
function exposedCollector(): Collect | undefined {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('globalThis.gc');
  return typeof collect === 'function' ? (collect as Collect) : undefined;
}
