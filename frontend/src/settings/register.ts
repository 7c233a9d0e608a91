import type {Schemas} from '../state'

/** How an acquirer's registers are read. */
export type Mapping = Schemas['Mapping']

/** The columns a mapping names, the needed ones first. */
export const columns = ['amount', 'date', 'reference', 'provider_ref', 'fee', 'currency', 'kind'] as const
export const kinds = ['payment', 'refund', 'chargeback', 'payout', 'fee'] as const
export const delimiters = [';', ',', '\t', '|'] as const
export const dates = ['yyyy-mm-dd', 'dd.mm.yyyy', 'dd/mm/yyyy', 'mm/dd/yyyy', 'yyyymmdd'] as const

/** blank is a mapping nobody has filled in. */
export function blank(): Mapping {
  return {delimiter: ';', encoding: 'utf-8', decimal: '.', date: 'yyyy-mm-dd', currency: 'AMD', skip: 0, kinds: {}, every: '',
    columns: {kind: '', reference: '', provider_ref: '', amount: '', fee: '', currency: '', date: ''}}
}

/** encodingOf guesses how a file's text is written: what is no UTF-8 came from an old Windows program. */
export function encodingOf(bytes: Uint8Array): Mapping['encoding'] {
  try {
    new TextDecoder('utf-8', {fatal: true}).decode(bytes, {stream: true}) // the end may cut a letter in two
    return 'utf-8'
  } catch {
    return 'windows-1251'
  }
}

/** cells splits one line as CSV has it: a quoted cell may hold the delimiter, and a doubled quote is one. */
export function cells(line: string, delimiter: string): string[] {
  const list: string[] = []
  let cell = ''
  let quoted = false
  for (let i = 0; i < line.length; i++) {
    const c = line[i]
    if (c === '"' && quoted && line[i + 1] === '"') cell += line[++i]
    else if (c === '"') quoted = !quoted
    else if (c === delimiter && !quoted) {
      list.push(cell.trim())
      cell = ''
    } else cell += c
  }
  return [...list, cell.trim()]
}

/** sample reads the headings of a file and its first lines, so that columns are chosen instead of typed. */
export function sample(text: string, mapping: Pick<Mapping, 'delimiter' | 'skip'>): {headings: string[]; lines: string[][]} {
  const all = text.replace(/^\uFEFF/, '').split(/\r?\n/).slice(mapping.skip).filter(line => line.trim() !== '')
  const [first = '', ...rest] = all
  return {headings: first === '' ? [] : cells(first, mapping.delimiter), lines: rest.slice(0, 3).map(line => cells(line, mapping.delimiter))}
}

/** delimiterOf is the delimiter that cuts the first line into the most cells. */
export function delimiterOf(text: string): string {
  const line = text.split(/\r?\n/, 1)[0] ?? ''
  return delimiters.reduce((best: string, d) => (cells(line, d).length > cells(line, best).length ? d : best), delimiters[0])
}

/** missing names what a mapping still lacks. */
export function missing(m: Mapping): (typeof columns)[number][] {
  const list: (typeof columns)[number][] = []
  if (!m.columns.amount) list.push('amount')
  if (!m.columns.date) list.push('date')
  if (!m.columns.reference && !m.columns.provider_ref && m.every !== 'payout' && m.every !== 'fee') list.push('reference')
  return list
}
