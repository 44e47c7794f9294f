import { usageError } from '../util/errors.ts';

export const ENVIRONMENT_FORMATS = ['shell', 'dotenv', 'json', 'powershell'] as const;

/** Settings for an SDK program, in a form that the user's shell or tool takes as it is. */
export function formatEnvironment(environment: Readonly<Record<string, string>>, format: string): string {
  const entries = Object.entries(environment);
  switch (format) {
    case 'shell':
      return entries.map(([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'`).join('\n');
    case 'dotenv':
      return entries.map(([name, value]) => `${name}="${value}"`).join('\n');
    case 'powershell':
      return entries.map(([name, value]) => `$env:${name} = '${value.replaceAll("'", "''")}'`).join('\n');
    case 'json':
      return JSON.stringify(environment, null, 2);
    default:
      throw usageError(`unknown format "${format}" (known: ${ENVIRONMENT_FORMATS.join(', ')})`);
  }
}
