import type {Schemas} from './state'

/** Problem is an answer of the API, or its absence, that a person should see. */
export class Problem extends Error {
  constructor(
    readonly status: number, // 0 when nothing answered
    readonly code: string,
    readonly title: string,
    readonly detail: string,
    readonly retryAfter = 0, // seconds
    readonly requestId = '',
  ) {
    super(title || code)
  }

  /** offline says that the server could not be reached at all. */
  get offline() { return this.status === 0 }
}

/** Where sessions come from: the CRM around us. */
export interface Sessions {
  /** session returns a valid session; fresh ones replace the one the API just refused. */
  session(refused?: string): Promise<string>
}

interface Call { method?: string; body?: unknown; key?: string; type?: string; patient?: boolean }

/** Api speaks to /api/v1 with the page's session and renews it once when it is refused. */
export class Api {
  constructor(private sessions: Sessions, private lang: string, private base = '/api/v1', private reach: typeof fetch = (...a) => fetch(...a)) {}

  get<T>(path: string): Promise<T> { return this.call(path) }
  post<T>(path: string, body: unknown = {}, key?: string): Promise<T> { return this.call(path, {method: 'POST', body, key}) }
  put<T>(path: string, body: unknown): Promise<T> { return this.call(path, {method: 'PUT', body}) }
  patch<T>(path: string, body: unknown): Promise<T> { return this.call(path, {method: 'PATCH', body}) }
  delete(path: string): Promise<void> { return this.call(path, {method: 'DELETE'}) }
  /** send gives a file to the server as it is. */
  send<T>(path: string, file: Blob, type: string): Promise<T> { return this.call(path, {method: 'POST', body: file, type, patient: true}) }
  /** file begins to read an answer of any length. */
  file(path: string): Promise<Response> { return this.answer(path, {patient: true}) }

  private async call<T>(path: string, call: Call = {}): Promise<T> {
    const answer = await this.answer(path, call)
    return (answer.status === 204 ? undefined : await answer.json()) as T
  }

  private async answer(path: string, call: Call): Promise<Response> {
    const session = await this.sessions.session()
    let answer = await this.once(path, call, session)
    if (answer.status === 401) answer = await this.once(path, call, await this.sessions.session(session))
    if (!answer.ok) throw await problemOf(answer)
    return answer
  }

  private async once(path: string, call: Call, session: string): Promise<Response> {
    const headers: Record<string, string> = {Authorization: `Bearer ${session}`, 'Accept-Language': this.lang}
    if (call.body !== undefined) headers['Content-Type'] = call.type ?? 'application/json'
    if (call.key) headers['Idempotency-Key'] = call.key
    try {
      return await this.reach(this.base + path, {
        method: call.method ?? 'GET', headers, cache: 'no-store',
        body: call.body === undefined ? undefined : call.type ? call.body as Blob : JSON.stringify(call.body),
        signal: call.patient ? undefined : AbortSignal.timeout(20_000),
      })
    } catch {
      throw new Problem(0, 'offline', '', '')
    }
  }
}

async function problemOf(answer: Response): Promise<Problem> {
  const retry = Number(answer.headers.get('Retry-After')) || 0
  const id = answer.headers.get('X-Request-Id') ?? ''
  let said: Partial<Schemas['Problem']> = {}
  try {
    said = await answer.json() as Partial<Schemas['Problem']>
  } catch {
    // A proxy's page: its status is all we know.
  }
  return new Problem(answer.status, said.code ?? `http_${answer.status}`, said.title ?? '', said.detail ?? '', retry, said.request_id ?? id)
}

/** problem makes a Problem of whatever was thrown. */
export function problem(thrown: unknown): Problem {
  return thrown instanceof Problem ? thrown : new Problem(-1, 'broken', '', thrown instanceof Error ? thrown.message : '')
}

/** newKey makes an idempotency key. randomUUID is missing on plain http, getRandomValues is not. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), b => b.toString(16).padStart(2, '0')).join('')
}

/** useKey is the idempotency key of a form: one content, one key, however often it is sent; spent starts a new one. */
export function useKey() {
  let key = newKey()
  let sent = ''
  const of = (body: unknown): string => {
    const text = JSON.stringify(body)
    if (sent && sent !== text) key = newKey()
    sent = text
    return key
  }
  const spent = () => {
    key = newKey()
    sent = ''
  }
  return {of, spent}
}
