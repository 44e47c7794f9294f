/** One event type of the workload. */
interface PayloadType {
  readonly weight: number;
  readonly template?: string;
  readonly size?: string;
}

/**
 * Parses the simulator's `PayloadDistribution`: `fixSize(50,1024) template(30,default) fix(20,eyJhIjoxfQ==)`, where the
 * first number is the percentage. `fix` holds the payload in base64; `fixSize` a number of bytes.
 */
export function parseSimulatorPayloads(text: string, template: string): PayloadType[] {
  const parts = [...text.matchAll(/\s*(fixSize|template|fix)\(\s*(\d+)\s*,\s*([^)]*?)\s*\)\s*/gy)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text)
    throw new RangeError(
      `invalid PayloadDistribution "${text}", expected for example fixSize(50,128) template(50,default)`,
    );
  return parts.map(([, kind, percent, value]) => {
    const weight = Number(percent);
    if (kind === 'template') return { weight, template };
    if (kind === 'fixSize')
      return { weight, template: '{"deviceId":"$.DeviceId"}', size: `${Number(value)}B` };
    return { weight, template: Buffer.from(value as string, 'base64').toString('utf8') };
  });
}
