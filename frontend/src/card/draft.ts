import {computed, ref} from 'vue'
import {editable, format, maxMinor, parse} from '../money'
import type {Money, Schemas} from '../state'
import {fromField, toField} from '../when'
import type {Desk} from './desk'

type Start = {amount: Money | null; purpose: string; expires_at: string}

/** useDraft is what a person types for an invoice: its fields, what is wrong with them, and the request they make. */
export function useDraft(desk: Desk, start: Start, fallbackCurrency: string) {
  const currency = start.amount?.currency || fallbackCurrency
  const amount = ref(start.amount && start.amount.minor > 0 ? editable(start.amount) : '')
  const purpose = ref(start.purpose)
  const expires = ref(toField(start.expires_at, desk.zone.value))
  const shown = ref(false) // mistakes are shown after the first try to submit, not while typing

  const money = computed(() => parse(amount.value, currency))
  const moment = computed(() => fromField(expires.value, desk.zone.value))
  const amountWrong = computed(() => {
    if (!shown.value || money.value) return ''
    const tooMuch = /^\d{11,}/.test(amount.value.replace(/\s/g, ''))
    if (tooMuch) return desk.say('amount.more', {amount: format({minor: maxMinor, currency}, desk.say.lang)})
    return desk.say('amount.bad', {example: format({minor: 150_000_00, currency}, desk.say.lang)})
  })
  const expiresWrong = computed(() => (!shown.value || timely(moment.value, desk.now()) ? '' : desk.say('expires.bad')))

  /** request returns what to send, or null when something is wrong and is now shown. */
  const request = (): Required<Schemas['InvoiceEdit']> | null => {
    shown.value = true
    if (!money.value || !timely(moment.value, desk.now())) return null
    return {amount: money.value, purpose: purpose.value.trim(), expires_at: moment.value}
  }
  return {amount, purpose, expires, currency, amountWrong, expiresWrong, request}
}

const timely = (iso: string, now: Date) => iso !== '' && Date.parse(iso) > now.getTime()
