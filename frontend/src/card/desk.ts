import {computed, inject, shallowRef, type ComputedRef, type InjectionKey, type Ref, type ShallowRef} from 'vue'
import {problem, Problem, type Api} from '../api'
import {NoSession, type Host} from '../host'
import * as money from '../money'
import type {Card, Invoice, Money} from '../state'
import {usableZone, when} from '../when'
import type {Say} from '../words'

/** Trouble is a problem in three short parts: what happened, why, what to do. */
export interface Trouble { title: string; detail: string }

/** Desk is what every part of the card works with. */
export interface Desk {
  api: Api
  host: Host
  say: Say
  card: ShallowRef<Card | null>
  /** zone is the tenant's time zone. */
  zone: ComputedRef<string>
  /** now is the server's time as well as we know it. */
  now: () => Date
  money: (m: Money, bare?: boolean) => string
  when: (iso: string) => string
  /** refresh reads the card again. */
  refresh: () => Promise<void>
  /** keep puts an invoice that an action answered with into the card at once. */
  keep: (invoice: Invoice) => void
  trouble: (thrown: unknown) => Trouble
  /** more loads the words of what stands behind an invoice. */
  more: () => Promise<void>
}

export const deskKey: InjectionKey<Desk> = Symbol('desk')

/** useDesk returns the desk of the card around a component. */
export function useDesk(): Desk {
  const desk = inject(deskKey)
  if (!desk) throw new Error('a part of the card stands outside it')
  return desk
}

// The problems that have words of their own, by the server's code, then by HTTP status.
const byCode: Record<string, string> = {
  opening_not_confirmed: 'session', deal_hidden: 'hidden', not_connected: 'connect', no_acquirer: 'noacquirer',
  acquirer_unavailable: 'acquirer', crm_busy: 'crm', crm_unavailable: 'crm', being_checked: 'checking', locked: 'locked',
  acquirer_refused: 'declined', deal_not_found: 'missing', role: 'forbidden',
}
const byStatus: Record<number, string> = {0: 'offline', 400: 'refused', 401: 'session', 403: 'forbidden', 404: 'missing', 409: 'state', 422: 'refused', 429: 'busy', 502: 'away', 503: 'away', 504: 'away'}

/** wording turns whatever was thrown into words for a person. The server's own detail is English. */
export function wording(thrown: unknown, say: Say): Trouble {
  const p: Problem = thrown instanceof NoSession ? new Problem(401, 'session', '', '') : problem(thrown)
  const known = byCode[p.code]
  let key = known ?? byStatus[p.status] ?? 'broken'
  if (!say.has(`problem.${key}.title`)) key = 'broken' // the rest of the words could not be loaded
  const detail = !known && say.lang === 'en' && p.status >= 400 && p.status < 500 && p.detail && key !== 'session' ? p.detail : say(`problem.${key}.detail`)
  return {title: say(`problem.${key}.title`), detail}
}

/** Live is what keeps the card fresh. */
export interface Live { card: ShallowRef<Card | null>; readAt: Ref<number>; load: () => Promise<void>; touched: () => void }

/** makeDesk wires a desk around a live card. */
export function makeDesk(api: Api, host: Host, say: Say, more: () => Promise<void>, {card, readAt, load, touched}: Live): Desk {
  const zone = computed(() => usableZone(card.value?.time_zone ?? 'UTC'))
  const now = () => new Date((Date.parse(card.value?.now ?? '') || Date.now()) + (card.value ? Date.now() - readAt.value : 0))
  return {
    api, host, say, more, card, zone, now,
    money: (m, bare) => money.format(m, say.lang, bare),
    when: iso => when(iso, {lang: say.lang, zone: zone.value}, now()),
    refresh: load,
    keep: invoice => {
      touched()
      const old = card.value
      if (!old) return
      const known = old.deal.invoices.some(i => i.id === invoice.id)
      const invoices = known ? old.deal.invoices.map(i => (i.id === invoice.id ? invoice : i)) : [invoice, ...old.deal.invoices]
      card.value = {...old, deal: {...old.deal, invoices}}
    },
    trouble: thrown => wording(thrown, say),
  }
}

/** useAction runs one action at a time and remembers what went wrong, in words. */
export function useAction(desk: Desk) {
  const busy = shallowRef(false)
  const trouble = shallowRef<Trouble | null>(null)
  const run = async (action: () => Promise<void>) => {
    if (busy.value) return
    busy.value = true
    trouble.value = null
    try {
      await action()
    } catch (thrown) {
      await desk.more().catch(() => {})
      trouble.value = desk.trouble(thrown)
    } finally {
      busy.value = false
    }
  }
  return {busy, trouble, run}
}
