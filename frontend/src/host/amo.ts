import type {PageState} from '../state'
import {NoSession, renewing, type Frame, type Host} from './index'

interface FromParent { type: string; session?: string; expires_at?: string; lang?: string; deal_id?: string }

/** How long the archive's script has to answer; it asks amoCRM for a one-time token and us for a session. */
const patience = 15_000

/**
 * amo is the bridge to the script of our own amoCRM or Kommo archive, which framed this page: it answers
 * "dealpay:ready" and "dealpay:session-expired" with a session. Messages go to and are taken from one exact origin.
 */
export function amo(state: PageState, frame: Frame): Host {
  const waiting = new Set<(m: FromParent) => void>()
  const post = (message: Record<string, unknown>) => frame.parent.postMessage(message, state.parent_origin)

  frame.window.addEventListener('message', (event: MessageEvent) => {
    if (event.origin !== state.parent_origin || event.source !== frame.parent) return
    const message = event.data as FromParent | null
    if (message?.type !== 'dealpay:session' || typeof message.session !== 'string' || !message.session) return
    if (state.deal_id && message.deal_id && message.deal_id !== state.deal_id) return // the panel shows another deal now
    waiting.forEach(take => take(message))
    waiting.clear()
  })

  const ask = (type: string) => new Promise<{session: string; expires_at?: string}>((resolve, reject) => {
    const take = (message: FromParent) => {
      clearTimeout(timer)
      resolve({session: message.session as string, expires_at: message.expires_at})
    }
    const timer = setTimeout(() => {
      waiting.delete(take)
      reject(new NoSession())
    }, patience)
    waiting.add(take)
    post({type})
  })

  let ready = false
  const session = renewing(state.session, state.expires_at, () => {
    const type = ready || state.session ? 'dealpay:session-expired' : 'dealpay:ready'
    ready = true
    return ask(type)
  })
  if (state.session) {
    ready = true
    post({type: 'dealpay:ready'})
  }
  return {
    lang: state.lang,
    session,
    resize: height => post({type: 'dealpay:resize', height}),
    openSettings: () => post({type: 'dealpay:open-settings'}),
  }
}
