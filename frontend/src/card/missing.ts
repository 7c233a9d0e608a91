import type {Card, Invoice} from '../state'

/** Missing is an action that a person may look for and that is not there, and the key of the reason. */
export interface Missing { what: string; why: string }

/** missing says why actions that make sense for this invoice are not offered to this person. */
export function missing(invoice: Invoice, role: Card['role']): Missing[] {
  const lacks = (what: Invoice['can'][number]) => !invoice.can.includes(what)
  const list: Missing[] = []
  const add = (what: string, why: string) => list.push({what, why})
  const kept = invoice.paid.minor - invoice.refunded.minor
  const open = ['awaiting_payment', 'payment_failed'].includes(invoice.status)
  if (open && invoice.locked && lacks('edit')) add('edit', 'why.sent')
  if (open && lacks('record') && role === 'manager') add('record', 'why.accountant')
  if (lacks('cancel') && kept > 0) add('cancel', 'why.money')
  if (kept > 0 && (lacks('refund') || !invoice.give_back)) {
    if (!invoice.give_back) add('refund', 'why.outside')
    else if (invoice.status === 'disputed') add('refund', 'why.disputed')
    else if (role !== 'admin') add('refund', 'why.admin')
  } else if (invoice.give_back?.open) {
    add('refund', 'why.under_way')
  }
  return list
}
