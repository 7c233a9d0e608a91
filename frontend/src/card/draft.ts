import {computed, ref} from 'vue'
import {convert, editable, format, maxMinor, parse} from '../money'
import type {Money, Schemas} from '../state'
import {fromField, toField} from '../when'
import type {Desk} from './desk'

type Start = {amount: Money | null; purpose: string; expires_at: string}

/** Draft is what a person types for an invoice. */
export type Draft = ReturnType<typeof useDraft>

/**
 * useDraft is what a person types for an invoice: its fields, what is wrong with them, and the request they make. Where no
 * acquirer takes the deal's currency it also has the rate, from the tenant's table when that knows one.
 */
export function useDraft(desk: Desk, start: Start, fallbackCurrency: string) {
  const currency = start.amount?.currency || fallbackCurrency
  const amount = ref(start.amount && start.amount.minor > 0 ? editable(start.amount) : '')
  const purpose = ref(start.purpose)
  const expires = ref(toField(start.expires_at, desk.zone.value))
  const shown = ref(false) // mistakes are shown after the first try to submit, not while typing

  const acquirers = desk.card.value?.acquirers ?? []
  const direct = acquirers.length === 0 || acquirers.some(a => a.currencies.length === 0 || a.currencies.includes(currency))
  const table = desk.card.value?.rates ?? {}
  const others = acquirers.flatMap(a => a.currencies)
  const paid = direct ? '' : others.find(c => table[`${currency}/${c}`]) ?? others[0] ?? ''
  const known = table[`${currency}/${paid}`] ?? ''
  const rate = ref(known)
  const whole = acquirers.some(a => a.whole_units && (a.currencies.length === 0 || a.currencies.includes(paid)))

  const money = computed(() => parse(amount.value, currency))
  const moment = computed(() => fromField(expires.value, desk.zone.value))
  const clean = computed(() => rate.value.replace(/\s/g, '').replace(',', '.'))
  const charge = (minor: number) => (paid ? convert({minor, currency}, paid, clean.value, whole) : null)

  const amountWrong = computed(() => {
    if (!shown.value || money.value) return ''
    const tooMuch = /^\d{11,}/.test(amount.value.replace(/\s/g, ''))
    if (tooMuch) return desk.say('amount.more', {amount: format({minor: maxMinor, currency}, desk.say.lang)})
    return desk.say('amount.bad', {example: format({minor: 150_000_00, currency}, desk.say.lang)})
  })
  const expiresWrong = computed(() => (!shown.value || timely(moment.value, desk.now()) ? '' : desk.say('expires.bad')))
  const rateWrong = computed(() => (shown.value && paid && !charge(100) ? desk.say('rate.none', {from: currency, to: paid}) : ''))

  /** pays says what the customer pays for a part of the amount; empty where it is the amount itself. */
  const pays = (minor: number): string => {
    const there = charge(minor)
    return there ? desk.say('rate.pays', {amount: format(there, desk.say.lang)}) : ''
  }

  /** request returns what to send, or null when something is wrong and is now shown. */
  const request = (): (Required<Schemas['InvoiceEdit']> & {exchange?: Schemas['Exchange']}) | null => {
    shown.value = true
    if (!money.value || !timely(moment.value, desk.now()) || rateWrong.value) return null
    const exchange = paid ? {exchange: {currency: paid, ...(clean.value === known ? {} : {rate: clean.value})}} : {}
    return {amount: money.value, purpose: purpose.value.trim(), expires_at: moment.value, ...exchange}
  }
  return {amount, purpose, expires, rate, currency, paid, money, amountWrong, expiresWrong, rateWrong, pays, request}
}

const timely = (iso: string, now: Date) => iso !== '' && Date.parse(iso) > now.getTime()
