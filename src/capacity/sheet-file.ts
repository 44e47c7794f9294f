import { z } from 'zod';
import { PipeError } from '../util/errors.ts';
import { DEFAULT_SHEET, FIGURE_NAMES, type FigureName, type Sheet } from './sheet.ts';

const amount = z.number().min(0);
const sheetFile = z.strictObject({
  name: z.string().optional(),
  currency: z.string().min(1).optional(),
  figures: z
    .partialRecord(
      z.enum(FIGURE_NAMES as [FigureName, ...FigureName[]]),
      z.union([amount, z.strictObject({ value: amount, source: z.string() })]),
    )
    .default({}),
});

/** The built-in sheet with what a file replaces. Throws PipeError E_CONFIG that names the first wrong entry. */
export function overrideSheet(document: unknown, origin: string): Sheet {
  const parsed = sheetFile.safeParse(document);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new PipeError('E_CONFIG', `${origin}: ${issue?.path.join('.')}: ${issue?.message}`, {
      hint: 'see every name and value with: cosmos-pipe plan --prices-template',
    });
  }
  const { name, currency, figures } = parsed.data;
  const replaced = Object.entries(figures).map(([key, value]) => [
    key,
    typeof value === 'number' ? { value, source: origin } : value,
  ]);
  return {
    name: name ?? origin,
    currency: currency ?? DEFAULT_SHEET.currency,
    figures: { ...DEFAULT_SHEET.figures, ...Object.fromEntries(replaced) },
  };
}
