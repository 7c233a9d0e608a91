import type {Schemas} from '../state'
import type {Pipeline} from './stages'

/** Where values go that are not written to Dealpay's own fields: pipeline → value → field of the CRM, or nowhere. */
export type Fields = NonNullable<Schemas['Settings']['fields']>
export type OwnField = Schemas['Field']
export type Value = OwnField['fits'][number]

/** What is written to a deal, in the order people read it. */
export const values: Value[] = ['status', 'paid', 'refunded', 'outstanding', 'link', 'paid_at', 'refunded_at', 'reference']
export const nowhere = '-'

/** there keeps the lines whose pipeline and field the CRM still has; the server refuses the others. */
export function there(fields: Fields, pipelines: Pipeline[], own: OwnField[]): Fields {
  const kept: Fields = {}
  for (const {id} of pipelines) {
    const lines = Object.entries(fields[id] ?? {}).filter(([, field]) => field === nowhere || own.some(f => f.id === field))
    if (lines.length > 0) kept[id] = Object.fromEntries(lines)
  }
  return kept
}

/** put is fields with one line changed; an empty place is Dealpay's own field. */
export function put(fields: Fields, pipeline: string, value: Value, place: string): Fields {
  const lines = {...fields[pipeline], [value]: place}
  if (!place) delete lines[value]
  return Object.fromEntries(Object.entries({...fields, [pipeline]: lines}).filter(([, kept]) => Object.keys(kept).length > 0))
}

/** choices are the customer's fields that take a value in a pipeline: those that fit and take no other value there. */
export function choices(lines: Record<string, string> | undefined, value: Value, own: OwnField[]): OwnField[] {
  return own.filter(f => f.fits.includes(value) && !Object.entries(lines ?? {}).some(([other, field]) => other !== value && field === f.id))
}

/** One changed line, by ids; an empty place is Dealpay's own field. */
export interface Moved { pipeline: string; value: Value; from: string; to: string }

/** moved lists what saving would change. */
export function moved(before: Fields, after: Fields, pipelines: Pipeline[]): Moved[] {
  return pipelines.flatMap(({id, name}) => values.flatMap(value => {
    const [from = '', to = ''] = [before[id]?.[value], after[id]?.[value]]
    return from === to ? [] : [{pipeline: name, value, from, to}]
  }))
}
