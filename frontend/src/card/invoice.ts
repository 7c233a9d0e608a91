import type {Invoice} from '../state'

/** How long the CRM may take before its lateness is shown by itself, in milliseconds. */
const lateAfter = 60_000

/** late says whether the CRM should know of the payment by now and does not. */
export function late(invoice: Invoice, now: Date): boolean {
  if (invoice.sync.state === 'failed') return true
  return invoice.sync.state === 'waiting' && invoice.paid_at != null && now.getTime() - Date.parse(invoice.paid_at) > lateAfter
}

/** moment is the one time that matters of an invoice, as the key of its word and the time. */
export function moment(invoice: Invoice): {key: string; at: string} {
  const paid = invoice.acquirer_paid_at ?? invoice.paid_at
  if (paid) return {key: 'time.paid', at: paid}
  if (invoice.status === 'expired') return {key: 'time.expired', at: invoice.expires_at}
  const tried = invoice.attempts.map(a => a.created_at).sort().at(-1)
  if (invoice.status === 'payment_failed' && tried) return {key: 'time.failed', at: tried}
  if (invoice.status === 'awaiting_payment') return {key: 'time.until', at: invoice.expires_at}
  return {key: 'time.created', at: invoice.created_at}
}

/** refundable is what could still be given back, in minor units. */
export const refundable = (invoice: Invoice): number => Math.max(0, invoice.paid.minor - invoice.refunded.minor)

const names: Record<string, string> = {
  vpos_am: 'VPOS.am', vposam: 'VPOS.am', arca: 'ArCa', ameriabank: 'Ameriabank', idram: 'Idram', telcell: 'Telcell', fastshift: 'FastShift',
  stripe: 'Stripe', yookassa: 'YooKassa', cloudpayments: 'CloudPayments', mercadopago: 'Mercado Pago', adyen: 'Adyen',
}

/** acquirerName is the name people know. */
export const acquirerName = (key: string): string => names[key] ?? key
