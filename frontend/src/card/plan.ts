import {exponent} from '../money'
import type {Money, Schemas} from '../state'
import {fromField} from '../when'

/** Part is one link of a plan as a person sees it before it is made; due is a datetime-local field, empty for none. */
export interface Part { minor: number; due: string }

/** shares divides a whole by weights: in whole units of the currency, the last part takes what rounding leaves. */
export function shares(whole: Money, weights: number[]): number[] {
  const unit = 10 ** exponent(whole.currency)
  const sum = weights.reduce((a, b) => a + b, 0)
  const parts = weights.slice(0, -1).map(weight => Math.floor((whole.minor / unit) * weight / sum) * unit)
  return [...parts, whole.minor - parts.reduce((a, b) => a + b, 0)]
}

/** monthly are n moments a month apart on the tenant's wall, the first at the given one; a short month ends on its last day. */
export function monthly(first: string, n: number): string[] {
  const [date = '', time = ''] = first.split('T')
  const [year = 0, month = 1, day = 1] = date.split('-').map(Number)
  return Array.from({length: n}, (_, i) => {
    const last = new Date(Date.UTC(year, month + i, 0))
    return new Date(Date.UTC(last.getUTCFullYear(), last.getUTCMonth(), Math.min(day, last.getUTCDate()))).toISOString().slice(0, 10) + 'T' + time
  })
}

/** deposit is a plan of two: a share now and the rest. */
export const deposit = (whole: Money, percent: number): Part[] => shares(whole, [percent, 100 - percent]).map(minor => ({minor, due: ''}))

/** instalments is a plan of n equal parts, a month apart. */
export function instalments(whole: Money, n: number, first: string): Part[] {
  const due = monthly(first, n)
  return shares(whole, Array.from({length: n}, () => 1)).map((minor, i) => ({minor, due: due[i] ?? ''}))
}

/** inOrder says whether every part is worth something and due after the one before. */
export function inOrder(parts: Part[], zone: string, now: Date): boolean {
  return parts.every((part, i) => {
    const at = part.due ? Date.parse(fromField(part.due, zone)) : 0
    const before = i > 0 && parts[i - 1]?.due ? Date.parse(fromField(parts[i - 1]?.due ?? '', zone)) : 0
    return part.minor > 0 && (!part.due || (at > now.getTime() && at >= before))
  })
}

/** request is what the API is asked for: amounts, and the rest for the last part, so that they always add up. */
export function request(parts: Part[], names: (i: number) => string, zone: string): Schemas['PlanPart'][] {
  return parts.map((part, i) => ({
    ...(i < parts.length - 1 ? {amount_minor: part.minor} : {}), ...(part.due ? {due_at: fromField(part.due, zone)} : {}), purpose: names(i),
  }))
}

