import type {Schemas} from './state'
import type {Say} from './words'

/** action words a line of the audit trail: by its own words, else by the status it led to, else by its name. */
export function action(say: Say, entry: Schemas['AuditEntry']): string {
  if (say.has('action.' + entry.action)) return say('action.' + entry.action)
  const [what, status] = entry.action.split('.')
  if (what === 'attempt' && say.has('status.' + status)) return say('action.attempt', {status: say('status.' + status)})
  if (entry.to && entry.to !== entry.from && say.has('status.' + entry.to)) return say('status.' + entry.to)
  return entry.action.replace(/[._]/g, ' ')
}

/** actor words who did it: "user:12" and "key:…" carry an id, the others are no persons. */
export function actor(say: Say, name: string): string {
  const [kind = '', id = ''] = name.split(':')
  return say.has('actor.' + kind) ? say('actor.' + kind, {id}) : name
}
