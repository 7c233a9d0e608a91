import {expect, test, vi} from 'vitest'
import {Api, newKey, Problem} from '../src/api'
import {renewing} from '../src/host'
import {wording} from '../src/wording'
import {speak, type Words} from '../src/words'
import en from '../src/words/en.json'
import more from '../src/words/en.more.json'
import ru from '../src/words/ru.json'
import ruMore from '../src/words/ru.more.json'

const answer = (status: number, body: unknown, headers: Record<string, string> = {}) => new Response(JSON.stringify(body), {status, headers})
const sessions = () => ({session: vi.fn(async (refused?: string) => (refused ? 'fresh' : 'stale'))})

test('a refused session is renewed once and the call repeated', async () => {
  const send = vi.fn<typeof fetch>().mockResolvedValueOnce(answer(401, {})).mockResolvedValueOnce(answer(200, {a: 1}))
  const host = sessions()
  expect(await new Api(host, 'ru', '/api/v1', send).get('/card')).toEqual({a: 1})
  expect(host.session).toHaveBeenLastCalledWith('stale')
  const headers = send.mock.calls[1]?.[1]?.headers as Record<string, string>
  expect(headers).toMatchObject({Authorization: 'Bearer fresh', 'Accept-Language': 'ru'})
})

test('a session that stays refused is a problem, not a loop', async () => {
  const send = vi.fn<typeof fetch>().mockImplementation(async () => answer(401, {code: 'unauthorized', title: 'Unauthorized', detail: 'x'}))
  await expect(new Api(sessions(), 'en', '/api/v1', send).get('/card')).rejects.toMatchObject({status: 401})
  expect(send).toHaveBeenCalledTimes(2)
})

test('problems carry code, wait and request id; a body that is no JSON still makes one', async () => {
  const send = vi.fn<typeof fetch>()
    .mockResolvedValueOnce(answer(429, {code: 'crm_busy', title: 't', detail: 'd', request_id: 'r1'}, {'Retry-After': '7'}))
    .mockResolvedValueOnce(new Response('<html>', {status: 502, headers: {'X-Request-Id': 'r2'}}))
  const api = new Api(sessions(), 'en', '/api/v1', send)
  await expect(api.get('/card')).rejects.toMatchObject({status: 429, code: 'crm_busy', retryAfter: 7, requestId: 'r1'})
  await expect(api.get('/card')).rejects.toMatchObject({status: 502, code: 'http_502', requestId: 'r2'})
})

test('no answer at all is offline', async () => {
  const api = new Api(sessions(), 'en', '/api/v1', () => Promise.reject(new TypeError('failed')))
  const thrown = await api.post('/invoices', {}, newKey()).catch(e => e as Problem)
  expect(thrown).toMatchObject({offline: true, code: 'offline'})
})

test('a session is renewed once for many calls, and again only when it is refused again', async () => {
  const renew = vi.fn(async () => ({session: `s${renew.mock.calls.length}`, expires_at: ''}))
  const session = renewing('', '', renew)
  expect(await Promise.all([session(), session(), session()])).toEqual(['s1', 's1', 's1'])
  expect(await session('old')).toBe('s1')
  expect(await session('s1')).toBe('s2')
  expect(renew).toHaveBeenCalledTimes(2)
})

test('a session is renewed shortly before it ends', async () => {
  const renew = vi.fn(async () => ({session: 'next'}))
  expect(await renewing('first', new Date(Date.now() + 60_000).toISOString(), renew)()).toBe('first')
  expect(await renewing('first', new Date(Date.now() + 1_000).toISOString(), renew)()).toBe('next')
})

test('problems are worded by their code, in the language of the reader', () => {
  const english = speak('en', {...en, ...more} as Words)
  const russian = speak('ru', {...ru, ...ruMore} as Words)
  const odd = new Problem(422, 'expiry_past', 'Unprocessable Entity', 'The link would already have expired.')
  expect(wording(odd, english).detail).toBe('The link would already have expired.')
  expect(wording(odd, russian).detail).toBe('Проверьте введённое и повторите.')
  expect(wording(new Problem(409, 'being_checked', 'Conflict', 'x'), russian).title).toBe('Оплата подтверждается')
  expect(wording(new Problem(500, 'internal', '', 'secret cause'), english).detail).not.toContain('secret')
  expect(wording(new Error('boom'), english).title).toBe('That did not work')
})

test('before the rest of the words is loaded there is still something to say', () => {
  const first = speak('en', en as Words)
  for (const status of [0, 400, 401, 403, 404, 409, 422, 429, 503, 500]) {
    const {title, detail} = wording(new Problem(status, 'x', '', ''), first)
    expect(title + detail, String(status)).not.toContain('problem.')
  }
})
