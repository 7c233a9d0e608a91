import type {PageState, Schemas} from '../state'
import {NoSession, renewing, type Frame, type Host} from './index'

interface Opening { AUTH_ID?: string; AUTH_EXPIRES?: string | number; MEMBER_ID?: string; PLACEMENT?: string; PLACEMENT_OPTIONS?: unknown }

/** How long the portal's page has to answer a command. */
const patience = 8_000

/**
 * bitrix24 speaks the frame protocol of the portal's page (vendor documentation: BX24.js library): the frame's name
 * is "DOMAIN|PROTOCOL|APP_SID", a command is "name:JSON:callback:APP_SID", an answer "callback:JSON". It returns null
 * when the frame's name is not one, or names another portal than the one the server verified.
 */
export function bitrix24(state: PageState, frame: Frame): Host | null {
  const [domain = '', protocol = '', sid = ''] = frame.window.name.split('|')
  if (!/^[a-z0-9.-]+(:\d+)?$/i.test(domain)) return null
  const origin = new URL(`${protocol === '0' || protocol === 'http' ? 'http' : 'https'}://${domain}`).origin
  if (state.parent_origin && state.parent_origin !== origin) return null

  const waiting = new Map<string, (answer: unknown) => void>()
  let last = 0

  frame.window.addEventListener('message', (event: MessageEvent) => {
    if (event.origin !== origin || event.source !== frame.parent || typeof event.data !== 'string') return
    const colon = event.data.indexOf(':')
    const key = colon < 0 ? event.data : event.data.slice(0, colon)
    const take = waiting.get(key)
    if (!take) return
    waiting.delete(key)
    take(unpack(colon < 0 ? '' : event.data.slice(colon + 1)))
  })

  const command = <T>(name: string, params?: unknown) => new Promise<T>((resolve, reject) => {
    const key = `dealpay${++last}`
    const timer = setTimeout(() => {
      waiting.delete(key)
      reject(new NoSession())
    }, patience)
    waiting.set(key, answer => {
      clearTimeout(timer)
      resolve(answer as T)
    })
    const parts = [name, params === undefined ? '' : JSON.stringify(params), key, sid]
    frame.parent.postMessage(parts.filter(Boolean).join(':'), origin)
  })
  // Commands whose answer changes nothing for us: an older portal may not answer them at all.
  const tell = (name: string, params: unknown) => { command(name, params).catch(() => {}) }

  // The fields of an opening (vendor documentation: placement handlers), from the frame instead of the portal's POST.
  const session = renewing(state.session, state.expires_at, async () => {
    const opened = await command<Opening>('getInitData')
    const auth = await command<Opening>('refreshAuth', {}).catch(() => opened)
    if (!auth?.AUTH_ID) throw new NoSession()
    const query = new URLSearchParams({DOMAIN: domain, PROTOCOL: protocol, APP_SID: sid, LANG: state.lang, page: state.page})
    const options = opened.PLACEMENT_OPTIONS ?? {ID: state.deal_id}
    const fields = new URLSearchParams({
      AUTH_ID: auth.AUTH_ID, AUTH_EXPIRES: String(auth.AUTH_EXPIRES ?? 3600), member_id: opened.MEMBER_ID ?? '',
      PLACEMENT: opened.PLACEMENT ?? 'CRM_DEAL_DETAIL_TAB', PLACEMENT_OPTIONS: typeof options === 'string' ? options : JSON.stringify(options),
    })
    const answer = await frame.fetch(`/bitrix24/session?${query}`, {method: 'POST', body: fields})
    if (!answer.ok) throw new NoSession()
    return await answer.json() as Schemas['Session']
  })

  return {
    lang: state.lang,
    session,
    resize: height => tell('resizeWindow', {width: '100%', height}),
    openSettings: () => tell('openApplication', {page: 'settings'}),
  }
}

function unpack(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
