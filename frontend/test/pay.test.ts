import {afterEach, beforeEach, expect, test, vi} from 'vitest'

const load = async (html: string) => {
  document.body.innerHTML = html
  vi.resetModules()
  return await import('../pay/pay')
}
const state = (name: string) => async () => new Response(JSON.stringify({state: name, changed: false}))

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

test('a page that waits reloads when the state is another one, and asks ever more slowly until then', async () => {
  const {watch} = await load('<main id="page" data-state="open"></main>')
  const reload = vi.fn()
  const ask = vi.fn<typeof fetch>(state('checking'))
  watch('tok', 'checking', reload, ask)
  await vi.advanceTimersByTimeAsync(2_000)
  expect(ask).toHaveBeenCalledWith('/p/tok/status', {cache: 'no-store'})
  await vi.advanceTimersByTimeAsync(58_000)
  expect(ask.mock.calls.length).toBeGreaterThan(5)
  expect(ask.mock.calls.length).toBeLessThan(15)
  expect(reload).not.toHaveBeenCalled()
  ask.mockImplementation(state('paid'))
  await vi.advanceTimersByTimeAsync(20_000)
  expect(reload).toHaveBeenCalledOnce()
})

test('a net that fails only costs time', async () => {
  const {watch} = await load('<main id="page" data-state="open"></main>')
  const reload = vi.fn()
  const ask = vi.fn<typeof fetch>().mockRejectedValueOnce(new TypeError('gone')).mockImplementation(state('failed'))
  watch('tok', 'checking', reload, ask)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(reload).toHaveBeenCalledOnce()
})

test('a second press sends nothing', async () => {
  await load('<main id="page" data-state="open"></main><form id="form"><button>Pay</button></form>')
  const form = document.getElementById('form') as HTMLFormElement
  const press = () => form.dispatchEvent(new Event('submit', {cancelable: true}))
  expect(press()).toBe(true)
  expect(press()).toBe(false)
})

test('printing is offered where it works', async () => {
  await load('<main id="page" data-state="paid"></main><button id="print" hidden></button>')
  expect(document.getElementById('print')?.hidden).toBe(false)
})
