import {beforeEach, expect, test, vi} from 'vitest'
import {hostOf, NoSession, type Frame} from '../src/host'
import type {PageState} from '../src/state'

const state = (changes: Partial<PageState> = {}): PageState => ({
  host: 'amo', page: 'card', lang: 'ru', session: '', expires_at: '', deal_id: '7', parent_origin: 'https://acme.amocrm.ru', card: null, settings: null, problem: null, ...changes,
})

let post: ReturnType<typeof vi.fn>
let frame: Frame
let hear: (data: unknown, origin?: string, source?: unknown) => void

beforeEach(() => {
  post = vi.fn()
  const parent = {postMessage: post} as unknown as Window
  const listeners: ((event: MessageEvent) => void)[] = []
  const window = {name: 'acme.bitrix24.com|1|sid7', addEventListener: (_: string, listener: (event: MessageEvent) => void) => listeners.push(listener)}
  frame = {window: window as unknown as Window, parent, fetch: vi.fn<typeof fetch>()}
  hear = (data, origin = 'https://acme.amocrm.ru', source = parent) => listeners.forEach(l => l({data, origin, source} as MessageEvent))
})

test('the amo bridge asks its parent for a session and believes only its origin', async () => {
  const host = hostOf(state(), frame)
  const session = host.session()
  expect(post).toHaveBeenCalledWith({type: 'dealpay:ready'}, 'https://acme.amocrm.ru')
  hear({type: 'dealpay:session', session: 'evil'}, 'https://evil.example')
  hear({type: 'dealpay:session', session: 'evil'}, 'https://acme.amocrm.ru', {})
  hear({type: 'dealpay:session', session: 'other deal', deal_id: '8'})
  hear(null)
  hear({type: 'dealpay:session', session: 'mine', deal_id: '7'})
  expect(await session).toBe('mine')
  const next = host.session('mine')
  expect(post).toHaveBeenLastCalledWith({type: 'dealpay:session-expired'}, 'https://acme.amocrm.ru')
  hear({type: 'dealpay:session', session: 'next'})
  expect(await next).toBe('next')
})

test('the amo bridge says heights and the way to the settings, never to everybody', () => {
  const host = hostOf(state({session: 's'}), frame)
  host.resize(321)
  host.openSettings?.()
  expect(post.mock.calls).toEqual([
    [{type: 'dealpay:ready'}, 'https://acme.amocrm.ru'], [{type: 'dealpay:resize', height: 321}, 'https://acme.amocrm.ru'],
    [{type: 'dealpay:open-settings'}, 'https://acme.amocrm.ru'],
  ])
})

test('a parent that never answers is no session', async () => {
  vi.useFakeTimers()
  const session = hostOf(state(), frame).session().catch((e: unknown) => e)
  await vi.advanceTimersByTimeAsync(20_000)
  expect(await session).toBeInstanceOf(NoSession)
  vi.useRealTimers()
})

const portal = (changes: Partial<PageState> = {}) => state({host: 'bitrix24', parent_origin: 'https://acme.bitrix24.com', session: 'first', ...changes})

test('commands of the Bitrix24 frame have their exact form and origin', () => {
  hostOf(portal(), frame).resize(400)
  expect(post).toHaveBeenCalledWith('resizeWindow:{"width":"100%","height":400}:dealpay1:sid7', 'https://acme.bitrix24.com')
})

test('Bitrix24 renews a session with a token of its frame', async () => {
  const host = hostOf(portal(), frame)
  const reply = (key: string, value: unknown) => hear(`${key}:${JSON.stringify(value)}`, 'https://acme.bitrix24.com')
  vi.mocked(frame.fetch).mockResolvedValue(new Response(JSON.stringify({session: 'second', expires_at: '2125-01-01T00:00:00Z', card_url: '', settings_url: ''})))
  expect(await host.session()).toBe('first')
  const next = host.session('first')
  expect(post).toHaveBeenLastCalledWith('getInitData:dealpay1:sid7', 'https://acme.bitrix24.com')
  hear('dealpay1:{"AUTH_ID":"evil"}', 'https://evil.example')
  reply('dealpay1', {AUTH_ID: 'old', MEMBER_ID: 'm1', PLACEMENT: 'CRM_DEAL_DETAIL_TAB', PLACEMENT_OPTIONS: {ID: '7'}})
  await vi.waitFor(() => expect(post).toHaveBeenLastCalledWith('refreshAuth:{}:dealpay2:sid7', 'https://acme.bitrix24.com'))
  reply('dealpay2', {AUTH_ID: 'fresh', AUTH_EXPIRES: '3600'})
  expect(await next).toBe('second')
  const [url, init] = vi.mocked(frame.fetch).mock.calls[0] ?? []
  expect(url).toBe('/bitrix24/session?DOMAIN=acme.bitrix24.com&PROTOCOL=1&APP_SID=sid7&LANG=ru&page=card')
  expect(Object.fromEntries(init?.body as URLSearchParams)).toEqual({
    AUTH_ID: 'fresh', AUTH_EXPIRES: '3600', member_id: 'm1', PLACEMENT: 'CRM_DEAL_DETAIL_TAB', PLACEMENT_OPTIONS: '{"ID":"7"}',
  })
})

test('a frame that names another portal than the server verified is not spoken to', async () => {
  const host = hostOf(portal({parent_origin: 'https://other.bitrix24.com'}), frame)
  host.resize(1)
  expect(post).not.toHaveBeenCalled()
  expect(await host.session()).toBe('first')
  await expect(host.session('first')).rejects.toBeInstanceOf(NoSession)
})
