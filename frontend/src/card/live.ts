import {ref, shallowRef} from 'vue'
import {problem, type Api} from '../api'
import type {Card} from '../state'

const quick = 4_000
const slow = 45_000
const slowest = 60_000

/** pending says whether something on the card may change at any moment without the reader. */
export function pending(card: Card | null): boolean {
  if (!card) return true
  return card.deal.invoices.some(i => i.status === 'awaiting_payment' || i.status === 'payment_failed' || i.sync.state === 'waiting')
}

/** useLive keeps the card fresh: every few seconds while it is looked at and may change, rarely otherwise. */
export function useLive(api: Api, first: Card | null, more: () => Promise<void>, page: Document = document) {
  const card = shallowRef<Card | null>(first)
  const readAt = ref(Date.now())
  const failure = shallowRef<unknown>(null)
  let timer: ReturnType<typeof setTimeout> | undefined
  let failures = 0
  let epoch = 0
  let running: Promise<void> | null = null
  let stopped = false

  const plan = () => {
    clearTimeout(timer)
    if (stopped || page.visibilityState === 'hidden') return
    let pause = pending(card.value) ? quick : slow
    if (failures > 0) {
      const asked = problem(failure.value).retryAfter * 1000
      pause = Math.max(asked, Math.min(quick * 2 ** (failures - 1), slowest))
    }
    timer = setTimeout(load, pause)
  }

  const read = async (): Promise<void> => {
    const asked = epoch
    try {
      const next = await api.get<Card>('/card')
      if (asked !== epoch) return read() // an action changed something meanwhile; this answer may be older
      card.value = next
      readAt.value = Date.now()
      failure.value = null
      failures = 0
    } catch (thrown) {
      await more().catch(() => {}) // the words for it
      failure.value = thrown
      failures++
    }
  }

  const load = (): Promise<void> => {
    running ??= read().finally(() => {
      running = null
      plan()
    })
    return running
  }

  /** touched says that an action just changed the card, so that answers under way are not believed. */
  const touched = () => { epoch++ }

  const wake = () => {
    if (page.visibilityState === 'hidden') return clearTimeout(timer)
    void load()
  }

  const start = () => {
    page.addEventListener('visibilitychange', wake)
    page.defaultView?.addEventListener('focus', wake)
    page.defaultView?.addEventListener('online', wake)
    if (card.value) plan()
    else void load()
  }
  const stop = () => {
    stopped = true
    clearTimeout(timer)
    page.removeEventListener('visibilitychange', wake)
    page.defaultView?.removeEventListener('focus', wake)
    page.defaultView?.removeEventListener('online', wake)
  }
  return {card, readAt, failure, load, touched, start, stop}
}
