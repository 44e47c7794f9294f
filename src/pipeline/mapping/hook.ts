import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PipeError } from '../../util/errors.ts';
import type { EventSource, JsonObject } from './template.ts';

export type HookResult =
  | { readonly kind: 'item'; readonly item: JsonObject }
  | { readonly kind: 'skipped' }
  | { readonly kind: 'rejected'; readonly reason: 'hook'; readonly detail: string };

export type MappingHook = (item: JsonObject, source: EventSource) => HookResult;

type UserFunction = (item: JsonObject, source: EventSource) => unknown;

/**
 * Loads the user's module. It exports `map` (or a default function) that gets the event's object and its origin, and
 * returns the object to store, or nothing to skip the event. It must be synchronous: it runs once per event. What it
 * throws makes a dead letter of that event and of no other.
 */
export async function loadHook(path: string): Promise<MappingHook> {
  const map = await importFunction(path);
  return (item, source) => {
    let result: unknown;
    try {
      result = map(item, source);
    } catch (error) {
      return {
        kind: 'rejected',
        reason: 'hook',
        detail: error instanceof Error ? error.message : String(error),
      };
    }
    if (result === undefined || result === null) return { kind: 'skipped' };
    if (typeof result !== 'object' || Array.isArray(result) || result instanceof Promise)
      return {
        kind: 'rejected',
        reason: 'hook',
        detail: 'map() must return one object, not a promise or a list',
      };
    // A changed item must not pass for the event's own text, even when the module changed it in place.
    return { kind: 'item', item: { ...(result as JsonObject) } };
  };
}

async function importFunction(path: string): Promise<UserFunction> {
  let module: { readonly map?: unknown; readonly default?: unknown };
  try {
    module = await import(pathToFileURL(resolve(path)).href);
  } catch (error) {
    throw new PipeError('E_CONFIG', `cannot load the mapping module ${path} (${(error as Error).message})`, {
      hint: 'pass a JavaScript module (.js, .mjs); TypeScript needs Node 22.18 or later',
      cause: error,
    });
  }
  const map = module.map ?? module.default;
  if (typeof map !== 'function')
    throw new PipeError('E_CONFIG', `the mapping module ${path} exports no function`, {
      hint: 'export function map(item, source) { return item }',
    });
  return map as UserFunction;
}
