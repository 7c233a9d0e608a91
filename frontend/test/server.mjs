import {readFile} from 'node:fs/promises'
import {createServer} from 'node:http'
import {extname} from 'node:path'
import {cards, history, invoice, message} from './data.mjs'
import {answers, settings} from './settings.mjs'

const dist = new URL('../dist/', import.meta.url)
const slot = '<script type="application/json" id="dealpay-state"></script>'
const types = {'.js': 'text/javascript', '.css': 'text/css', '.html': 'text/html; charset=utf-8', '.json': 'application/json', '.woff2': 'font/woff2', '.svg': 'image/svg+xml'}

// The policy the pages must live under: nothing inline, nothing from elsewhere. Bitrix24's kit writes styles itself.
const policy = inline => `default-src 'none'; script-src 'self'; style-src 'self'${inline}; connect-src 'self'; img-src 'self' data:; font-src 'self'`

async function page(name, state) {
  const html = await readFile(new URL(`${name}.html`, dist), 'utf8')
  const json = JSON.stringify(state).replace(/[<>&]/g, c => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'))
  return html.replace(slot, () => slot.replace('></', `>${json}</`))
}

function api(path, method, name) {
  if (path === '/card') return cards[name]
  if (path.endsWith('/history')) return history
  if (path.split('?')[0].endsWith('/message')) return message
  if (path.endsWith('/plan')) return {items: cards.plan.deal.invoices, next: null}
  if (path === '/invoices' && method === 'POST') return invoice()
  if (path.startsWith('/invoices/')) return invoice()
  return answers[path] ?? {}
}

/** serve starts a small server that looks like ours to the built pages; ?state= chooses what they show. */
export async function serve(port = 0) {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://x')
    const send = (type, body) => response.writeHead(200, {'Content-Type': type, 'Content-Security-Policy': policy(url.pathname === '/settings' ? " 'unsafe-inline'" : '')}).end(body)
    try {
      const from = new URL(request.headers.referer ?? 'http://x').searchParams
      if (url.pathname.startsWith('/assets/')) return send(types[extname(url.pathname)] ?? 'text/plain', await readFile(new URL(url.pathname.slice(8), dist)))
      if (url.pathname.startsWith('/api/v1')) return send('application/json', JSON.stringify(api(url.pathname.slice(7), request.method, from.get('state'))))
      const base = {host: '', lang: url.searchParams.get('lang') ?? 'en', session: 's', expires_at: '', deal_id: '1', parent_origin: '', card: null, settings: null, problem: null}
      if (url.pathname === '/card') return send(types['.html'], await page('card', {...base, page: 'card', card: cards[url.searchParams.get('state')] ?? null}))
      if (url.pathname === '/settings') return send(types['.html'], await page('settings', {...base, page: 'settings', settings}))
      response.writeHead(404).end()
    } catch (error) {
      response.writeHead(500).end(String(error))
    }
  })
  await new Promise(resolve => server.listen(port, '127.0.0.1', resolve))
  return {url: `http://127.0.0.1:${server.address().port}`, close: () => server.close()}
}
