import { PipeError } from '../util/errors.ts';
import {
  DEFAULT_SHEET,
  FIGURE_NAMES,
  type FigureName,
  MAY_BE_NOTHING,
  PRICE_NAMES,
  type Sheet,
  type SourcedFigure,
} from './sheet.ts';

const MEMBERS = ['name', 'currency', 'figures'] as const;
const TEMPLATE = 'cosmos-pipe plan --prices-template';

/**
 * The built-in sheet with what a file replaces: `name`, `currency` and any of the `figures`, each a number or
 * `{ value, source }`. Throws PipeError E_CONFIG that names the first wrong entry, and for a currency of its own that
 * leaves prices in the built-in one.
 */
export function overrideSheet(document: unknown, origin: string): Sheet {
  const { name, currency, figures } = members(document, origin);
  const replaced = new Map(
    Object.entries(entries(figures ?? {}, 'figures', origin)).map(
      ([key, value]) => [nameOf(key, origin), figureOf(key, value, origin)] as const,
    ),
  );
  const kept = PRICE_NAMES.filter((price) => !replaced.has(price));
  const ownCurrency = textOf(currency, 'currency', origin) ?? DEFAULT_SHEET.currency;
  if (ownCurrency !== DEFAULT_SHEET.currency && kept.length > 0)
    throw new PipeError(
      'E_CONFIG',
      `${origin}: prices in ${ownCurrency}, but ${kept.join(', ')} would stay in ${DEFAULT_SHEET.currency}`,
      { hint: `give every price, or leave the currency out; see them with: ${TEMPLATE}` },
    );
  return {
    name:
      textOf(name, 'name', origin) ?? (kept.length > 0 ? `${origin}, else ${DEFAULT_SHEET.name}` : origin),
    currency: ownCurrency,
    figures: { ...DEFAULT_SHEET.figures, ...Object.fromEntries(replaced) },
  };
}

function members(document: unknown, origin: string): Readonly<Record<string, unknown>> {
  const found = entries(document, 'the file', origin);
  for (const key of Object.keys(found)) {
    if ((MEMBERS as readonly string[]).includes(key)) continue;
    if (isFigureName(key))
      throw new PipeError('E_CONFIG', `${origin}: ${key} stands beside figures, not below it`, {
        hint: `write it as: figures: { ${key}: ... }`,
      });
    throw wrong(origin, `there is no ${key}; the file has ${MEMBERS.join(', ')}`);
  }
  return found;
}

function entries(value: unknown, what: string, origin: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>;
  throw wrong(origin, `${what} must be a mapping of names to values`);
}

function nameOf(key: string, origin: string): FigureName {
  if (isFigureName(key)) return key;
  const alike = FIGURE_NAMES.filter((known) => known.toLowerCase().startsWith(key.toLowerCase().slice(0, 7)));
  throw wrong(
    origin,
    `figures.${key} is no limit or price${alike.length > 0 ? `; did you mean ${alike.slice(0, 3).join(' or ')}` : ''}`,
  );
}

function figureOf(key: string, value: unknown, origin: string): SourcedFigure {
  if (typeof value !== 'object' || value === null)
    return { value: numberOf(key, value, origin), source: origin };
  const { value: own, source, ...others } = entries(value, `figures.${key}`, origin);
  const [other] = Object.keys(others);
  if (other !== undefined) throw wrong(origin, `figures.${key}.${other}: a figure has value and source`);
  return {
    value: numberOf(key, own, origin),
    source: textOf(source, `figures.${key}.source`, origin) ?? origin,
  };
}

function numberOf(key: string, value: unknown, origin: string): number {
  const least = MAY_BE_NOTHING.has(key as FigureName) ? 'of 0 or more' : 'above 0';
  const ok = typeof value === 'number' && Number.isFinite(value) && value >= 0;
  if (ok && (value > 0 || MAY_BE_NOTHING.has(key as FigureName))) return value;
  throw wrong(
    origin,
    `figures.${key} must be a number ${least}, not ${typeof value === 'string' ? JSON.stringify(value) : String(value)}`,
  );
}

function textOf(value: unknown, what: string, origin: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value !== '') return value;
  throw wrong(origin, `${what} must be a text`);
}

function isFigureName(key: string): key is FigureName {
  return (FIGURE_NAMES as readonly string[]).includes(key);
}

function wrong(origin: string, what: string): PipeError {
  return new PipeError('E_CONFIG', `${origin}: ${what}`, {
    hint: `see every name and value with: ${TEMPLATE}`,
  });
}
