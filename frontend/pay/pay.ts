import './pay.css'

// The page works without this file. It only spares the customer a reload while the bank decides, and a second press.

const page = document.getElementById('page')
const soonest = 2_000
const latest = 15_000

/** watch asks for the link's state until it is another one than the page shows, ever more slowly. */
export function watch(token: string, shown: string, reload: () => void, ask: typeof fetch = (...a) => fetch(...a)) {
  let pause = soonest
  let timer = 0
  const next = (after: number) => { timer = window.setTimeout(look, after) }
  const look = async () => {
    if (document.visibilityState === 'hidden') return // asked again when the customer comes back
    try {
      const answer = await ask(`/p/${token}/status`, {cache: 'no-store'})
      if (answer.ok && (await answer.json() as {state: string}).state !== shown) return reload()
    } catch {
      // Offline or too slow: ask later.
    }
    next(pause)
    pause = Math.min(pause * 1.3, latest)
  }
  document.addEventListener('visibilitychange', () => {
    window.clearTimeout(timer)
    if (document.visibilityState === 'visible') {
      pause = soonest
      void look()
    }
  })
  next(pause)
}

if (page?.dataset.state === 'checking') watch(page.dataset.token ?? '', 'checking', () => location.reload())

const form = document.getElementById('form')
const button = form?.querySelector<HTMLButtonElement>('button')
form?.addEventListener('submit', event => {
  if (button?.getAttribute('aria-busy') === 'true') return event.preventDefault()
  button?.setAttribute('aria-busy', 'true')
})
// Coming back from the bank by the browser's button shows an old copy of the page; the state may be another now.
window.addEventListener('pageshow', event => {
  if (event.persisted) location.reload()
})

const forward = document.getElementById('forward') as HTMLFormElement | null
forward?.submit()

const print = document.getElementById('print')
if (print) {
  print.hidden = false
  print.addEventListener('click', () => window.print())
}
