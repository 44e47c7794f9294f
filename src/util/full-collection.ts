import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Below this a heap is not worth a pause. */
const LEAST_BYTES = 256e6;

/**
 * For code that keeps to a bound of memory by letting go of much at once: V8 would let the heap grow to several times what
 * lives before it looks. Call the returned function after letting go; it collects when the heap is above `bytes`.
 */
export function fullCollector(bytes: number): () => void {
  let collect: unknown;
  return () => {
    if (getHeapStatistics().used_heap_size < Math.max(bytes, LEAST_BYTES)) return;
    if (collect === undefined) {
      setFlagsFromString('--expose-gc');
      collect = runInNewContext('globalThis.gc');
    }
    if (typeof collect === 'function') collect();
  };
}
