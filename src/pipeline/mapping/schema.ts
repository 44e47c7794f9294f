import { readFile } from 'node:fs/promises';
import { PipeError } from '../../util/errors.ts';
import type { JsonObject } from './template.ts';

/** Gives what is wrong with an event, `undefined` when it matches. */
export type SchemaCheck = (item: JsonObject) => string | undefined;

/** Compiles a JSON Schema (draft 2020-12 or draft-07, with formats) from a file. */
export async function loadSchema(path: string): Promise<SchemaCheck> {
  const failure = (detail: string, cause: unknown) =>
    new PipeError('E_CONFIG', `cannot use the JSON Schema ${path} (${detail})`, {
      hint: 'check the file with any JSON Schema validator',
      cause,
    });
  let schema: JsonObject;
  try {
    schema = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw failure((error as Error).message, error);
  }
  const draft07 = String(schema['$schema'] ?? '').includes('draft-07');
  const { Ajv } = draft07
    ? await import('ajv')
    : await import('ajv/dist/2020.js').then((m) => ({ Ajv: m.Ajv2020 }));
  const formats = await import('ajv-formats');
  const ajv = new Ajv({ strict: false });
  formats.default.default(ajv);
  try {
    const validate = ajv.compile(schema);
    return (item) => (validate(item) ? undefined : ajv.errorsText(validate.errors, { dataVar: 'event' }));
  } catch (error) {
    throw failure((error as Error).message, error);
  }
}
