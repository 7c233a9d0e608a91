import type {components} from './api.gen'

/** Schemas of /api/v1. */
export type Schemas = components['schemas']
export type Money = Schemas['Money']
export type Invoice = Schemas['Invoice']
export type Exception = Schemas['Exception']
export type Card = Schemas['Card']
export type SettingsView = Schemas['SettingsView']

/** What stops a page before it can show anything. */
export type PageProblem = Schemas['Problem']

/** What the server writes into the page, so that the first status needs no second round trip. */
export interface PageState {
  host: 'bitrix24' | 'amo' | ''
  page: 'card' | 'settings'
  lang: string
  session: string
  expires_at: string
  deal_id: string
  parent_origin: string
  card: Card | null
  settings: SettingsView | null
  problem: PageProblem | null
}

const empty: PageState = {
  host: '', page: 'card', lang: '', session: '', expires_at: '', deal_id: '', parent_origin: '',
  card: null, settings: null, problem: null,
}

/** readState returns the state of the page; what is missing or unreadable is empty. */
export function readState(doc: Document = document): PageState {
  const text = doc.getElementById('dealpay-state')?.textContent?.trim()
  if (!text) return {...empty}
  try {
    return {...empty, ...JSON.parse(text) as Partial<PageState>}
  } catch {
    return {...empty}
  }
}
