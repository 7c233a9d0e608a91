import type {Sessions} from '../api'
import type {PageState} from '../state'
import {amo} from './amo'
import {bitrix24} from './bitrix24'

/** Host is the CRM around the page, whichever it is. */
export interface Host extends Sessions {
  /** lang is the language of the person's CRM; empty when the CRM did not say. */
  readonly lang: string
  /** resize asks the CRM to give our frame this height, in CSS pixels. */
  resize(height: number): void
  /** openSettings leads an administrator to the settings page; absent where the CRM cannot. */
  openSettings?(): void
}

/** Frame is what a host needs of the browser, so that tests can stand in for it. */
export interface Frame {
  window: Window
  parent: Window
  fetch: typeof fetch
}

/** noSession is thrown when the CRM gives no new session; the person has to open the page again. */
export class NoSession extends Error {}

/** hostOf returns the CRM that the server says surrounds the page. Outside a frame there is none to talk to. */
export function hostOf(state: PageState, frame: Frame = {window, parent: window.parent, fetch: (...a) => fetch(...a)}): Host {
  if (frame.parent !== frame.window) {
    if (state.host === 'amo' && state.parent_origin) return amo(state, frame)
    if (state.host === 'bitrix24') {
      const host = bitrix24(state, frame)
      if (host) return host
    }
  }
  return {
    lang: state.lang,
    resize() {},
    async session(refused) {
      if (!state.session || refused) throw new NoSession()
      return state.session
    },
  }
}

/** renewing keeps one session and fetches the next at most once at a time, however many calls were refused. */
export function renewing(first: string, expiresAt: string, renew: () => Promise<{session: string; expires_at?: string}>) {
  let session = first
  let expires = Date.parse(expiresAt) || Infinity
  let running: Promise<string> | null = null
  return (refused?: string): Promise<string> => {
    const stale = !session || refused === session || Date.now() > expires - 5_000
    if (!stale) return Promise.resolve(session)
    running ??= renew()
      .then(next => {
        session = next.session
        expires = Date.parse(next.expires_at ?? '') || Infinity
        return session
      })
      .finally(() => { running = null })
    return running
  }
}
