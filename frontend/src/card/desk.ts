import {computed, inject, shallowRef, type ComputedRef, type InjectionKey, type Ref, type ShallowRef} from 'vue'
import {Problem, type Api} from '../api'
import type {Host} from '../host'
import * as money from '../money'
import type {Card, Invoice, Money} from '../state'
import {usableZone, when} from '../when'
import {wording, type Trouble} from '../wording'
import type {Say} from '../words'

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
  /** lost says that a part of the card could not be fetched. */
  lost: () => void
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

/** Live is what keeps the card fresh. */
export interface Live { card: ShallowRef<Card | null>; readAt: Ref<number>; failure: ShallowRef<unknown>; load: () => Promise<void>; touched: () => void }

/** makeDesk wires a desk around a live card. */
export function makeDesk(api: Api, host: Host, say: Say, more: () => Promise<void>, {card, readAt, failure, load, touched}: Live): Desk {
  const zone = computed(() => usableZone(card.value?.time_zone ?? 'UTC'))
  const now = () => new Date((Date.parse(card.value?.now ?? '') || Date.now()) + (card.value ? Date.now() - readAt.value : 0))
  return {
    api, host, say, more, card, zone, now,
    lost: () => { failure.value = new Problem(0, 'offline', '', '') },
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
