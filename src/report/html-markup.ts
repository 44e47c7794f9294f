const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as it stands in HTML and SVG, in content and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] as string);
}

/** One element. Attribute values are escaped, content is markup already. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  content = '',
): string {
  const text = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${escapeHtml(String(value))}"`)
    .join('');
  return content === '' && VOID.has(name) ? `<${name}${text}/>` : `<${name}${text}>${content}</${name}>`;
}

const VOID = new Set(['line', 'path', 'rect', 'circle']);

/** A table whose first column names the row. */
export function dataTable(
  caption: string,
  header: readonly string[],
  rows: readonly (readonly string[])[],
  /** Columns of running text, which may be broken; the others are figures. */
  textColumns: readonly number[] = [],
): string {
  const classOf = (cell: string, column: number): string => {
    const classes = [
      textColumns.includes(column) ? 'text' : '',
      cell.startsWith('✗') ? 'bad' : cell.startsWith('✓') ? 'good' : '',
    ].filter((name) => name !== '');
    return classes.length === 0 ? '' : ` class="${classes.join(' ')}"`;
  };
  const head = header
    .map((cell, column) => `<th scope="col"${classOf(cell, column)}>${escapeHtml(cell)}</th>`)
    .join('');
  const body = rows
    .map(([name = '', ...cells]) => {
      const figures = cells
        .map((cell, index) => `<td${classOf(cell, index + 1)}>${escapeHtml(cell)}</td>`)
        .join('');
      // A long expression of a threshold breaks where a person would break it.
      return `<tr><th scope="row">${escapeHtml(name).replaceAll(':', ':<wbr>')}</th>${figures}</tr>`;
    })
    .join('\n');
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(caption)}"><table><caption>${escapeHtml(
    caption,
  )}</caption><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
}
