import type {Schemas} from './state'
import type {Say} from './words'

/** action words a line of the audit trail: by its own words, else by the status it led to, else by its name. */
export function action(say: Say, entry: Schemas['AuditEntry']): string {
  if (say.has('action.' + entry.action)) return say('action.' + entry.action)
  const [what, status] = entry.action.split('.')
  if (what === 'receipt') return say('action.receipt.noted')
  if (what === 'attempt' && say.has('status.' + status)) return say('action.attempt', {status: say('status.' + status)})
  if (entry.to && entry.to !== entry.from && say.has('status.' + entry.to)) return say('status.' + entry.to)
  return entry.action.replace(/[._]/g, ' ')
}

/** actor words who did it: "user:12" and "key:…" carry an id, the others are no persons. */
export function actor(say: Say, name: string): string {
  const [kind = '', id = ''] = name.split(':')
  return say.has('actor.' + kind) ? say('actor.' + kind, {id}) : name
}

/**
 * evidence says by what we know it: the acquirer's answer to our question, or a notice and what its signature proved, with
 * the ids under which support finds them. Codes of the acquirer stay where they are.
 */
export function evidence(say: Say, entry: Schemas['AuditEntry']): string[] {
  const said = entry.evidence as Record<string, unknown>
  const text = (key: string) => (typeof said[key] === 'string' ? said[key] : '')
  const lines: string[] = []
  const source = text('source')
  if (source && say.has('evidence.' + source)) lines.push(say('evidence.' + source))
  if (entry.action === 'notice.refused') lines.push(say('evidence.signature.wrong'))
  if (source === 'notice') lines.push(say('evidence.signature.good'))
  if (text('notice')) lines.push(say('evidence.after', {id: text('notice')}))
  if (text('reason') && (source === 'person' || !source)) lines.push(text('reason'))
  if (text('reference')) lines.push(say('tries.ref', {ref: text('reference')}))
  const request = entry.request_id || text('request_id')
  if (request) lines.push(say('evidence.request', {id: request}))
  return lines
}
