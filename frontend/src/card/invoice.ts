import type {Card, Invoice, Money} from '../state'

/** How long the CRM may take before its lateness is shown by itself, in milliseconds. */
const lateAfter = 60_000

/** inCRM is when the CRM had the payment; null while it has not. What it was told before the payment is no news of it. */
export function inCRM({sync, paid_at}: Invoice): string | null {
  if (!sync.written_at || (sync.state !== 'written' && (!paid_at || sync.written_at < paid_at))) return null
  return sync.written_at
}

/** late says whether the CRM should know by now what is so, and does not. */
export function late({sync}: Invoice, now: Date): boolean {
  return sync.state === 'failed' || sync.waits_since != null && now.getTime() - Date.parse(sync.waits_since) > lateAfter
}

/** moment is the one time that matters of an invoice, as the key of its word and the time. */
export function moment(invoice: Invoice): {key: string; at: string} {
  const paid = invoice.acquirer_paid_at ?? invoice.paid_at
  if (paid) return {key: 'time.paid', at: paid}
  if (invoice.status === 'expired') return {key: 'time.expired', at: invoice.expires_at}
  const tried = invoice.attempts.map(a => a.created_at).sort().at(-1)
  if (invoice.status === 'payment_failed' && tried) return {key: 'time.failed', at: tried}
  if (invoice.status === 'awaiting_payment') return invoice.due_at ? {key: 'time.due', at: invoice.due_at} : {key: 'time.until', at: invoice.expires_at}
  return {key: 'time.created', at: invoice.created_at}
}

/** claimOf is what the invoice settles of the deal, in the deal's currency. */
export const claimOf = (invoice: Invoice): Money => invoice.claim ?? invoice.amount

/**
 * nextOf is the invoice whose link is to be sent next: the newest that can be, and of a plan the one that is due first.
 * The server lists the newest first; invoices of one plan stand in the order of their ids.
 */
export function nextOf(invoices: Invoice[]): Invoice | undefined {
  const open = invoices.filter(i => i.can.includes('send'))
  const newest = open[0]
  if (!newest?.part) return newest
  return open.filter(i => i.part).reduce((first, i) => (i.id < first.id ? i : first))
}

/** underWay is the refund that is not done yet, if there is one. */
export const underWay = (invoice: Invoice) => invoice.refunds?.find(r => ['waiting', 'requested', 'sending', 'unknown'].includes(r.status))

/** acquirerName is the name people know. */
export const acquirerName = (card: Card | null, key: string): string => card?.acquirers?.find(a => a.acquirer === key)?.name ?? names[key] ?? key

// Of acquirers that are no longer connected.
const names: Record<string, string> = {
  vpos_am: 'VPOS.am', arca: 'ArCa', ameria: 'Ameriabank', idram: 'Idram', telcell: 'Telcell Wallet', fastshift: 'FastShift', stripe: 'Stripe',
}
