'use strict';
// The parent side of the frame protocol as the vendor's browser library speaks it
// (bitrix24/b24jssdk, src/frame): the child sends
//   <command>[:<JSON params>]:<callback key>:<APP_SID>
// and gets <callback key>:<JSON>. Unknown commands get no answer.
(() => {
  const frames = new Map() // APP_SID -> {view, iframe, slider}

  const ask = async (path, body) => {
    const r = await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body || {}) })
    return r.json()
  }

  function parse(data) {
    if (data && typeof data === 'object' && data.method) { // commands with a colon in their name
      return { command: data.method, params: data.params, callback: data.callback, sid: data.appSid }
    }
    if (typeof data !== 'string') return null
    const first = data.indexOf(':')
    const last = data.lastIndexOf(':')
    if (first < 0) return null
    const message = { command: data.slice(0, first), params: null, callback: '', sid: data.slice(last + 1) }
    const middle = first < last ? data.slice(first + 1, last) : ''
    if (/^[{["]/.test(middle)) { // empty parts are omitted: parameters without a callback
      try { return { ...message, params: JSON.parse(middle) } } catch { /* a callback follows */ }
    }
    const cut = middle.lastIndexOf(':')
    message.callback = middle.slice(cut + 1)
    if (cut >= 0) {
      const raw = middle.slice(0, cut)
      try { message.params = JSON.parse(raw) } catch { message.params = raw }
    }
    return message
  }

  const reply = (frame, callback, value) => {
    if (callback) frame.iframe.contentWindow?.postMessage(callback + ':' + JSON.stringify(value ?? null), frame.view.origin)
  }

  function close(frame, how) {
    if (!frame.slider) return
    frame.slider.remove()
    frames.delete(frame.view.sid)
    frame.closed?.(how)
  }

  function slide(child) {
    const shade = document.createElement('div')
    shade.className = 'slider'
    const pane = document.createElement('div')
    const button = document.createElement('button')
    button.className = 'close plain'
    button.type = 'button'
    button.textContent = 'Close'
    pane.append(button, child)
    shade.append(pane)
    document.body.append(shade)
    return { shade, button }
  }

  const commands = {
    getInitData: (frame) => frame.view.init,
    setInstall: async (frame) => { await ask(`/page/frame/${frame.view.sid}/ran`); return true },
    setInstallFinish: async (frame) => {
      if (!frame.view.init.INSTALL) return undefined
      await ask(`/page/frame/${frame.view.sid}/finish`)
      setTimeout(() => location.assign('/market/app/'), 50)
      return true
    },
    refreshAuth: async (frame) => Object.assign(frame.view.init, await ask(`/page/frame/${frame.view.sid}/refresh`)) && {
      AUTH_ID: frame.view.init.AUTH_ID, REFRESH_ID: frame.view.init.REFRESH_ID, AUTH_EXPIRES: frame.view.init.AUTH_EXPIRES
    },
    setAppOption: (frame, p) => ask(`/page/frame/${frame.view.sid}/option`, { app: true, name: p.name, value: p.value }),
    setUserOption: (frame, p) => ask(`/page/frame/${frame.view.sid}/option`, { app: false, name: p.name, value: p.value }),
    resizeWindow: (frame, p) => {
      const width = String(p.width ?? '')
      if (width) frame.iframe.style.width = width.endsWith('%') ? width : parseInt(width, 10) + 'px'
      if (parseInt(p.height, 10) > 0) frame.iframe.style.height = parseInt(p.height, 10) + 'px'
      return { width: frame.iframe.offsetWidth, height: frame.iframe.offsetHeight }
    },
    reloadWindow: () => { location.reload() },
    setTitle: (_, p) => { document.title = p.title; return { title: p.title } },
    setScroll: (_, p) => { window.scrollTo(0, p.scroll || 0); return { scroll: window.scrollY } },
    openApplication: (frame, p) => new Promise((done) => {
      ask('/page/open', p || {}).then((view) => {
        if (!view.sid) return done({ result: 'error' })
        const box = document.createElement('div')
        box.className = 'app'
        const { shade, button } = slide(box)
        const opened = mount(box, view)
        opened.slider = shade
        opened.closed = () => done({ result: 'close' })
        button.addEventListener('click', () => close(opened))
      })
    }),
    closeApplication: (frame) => { close(frame); return true },
    openPath: (_, p) => new Promise((done) => {
      const path = typeof p === 'string' ? p : p?.path
      if (!path?.startsWith('/') || path.startsWith('//')) return done({ result: 'error', errorCode: 'PATH_NOT_AVAILABLE' })
      const page = document.createElement('iframe')
      page.src = path
      const { shade, button } = slide(page)
      button.addEventListener('click', () => { shade.remove(); done({ result: 'close' }) })
    }),
    getInterface: () => ({ command: ['reloadData'], event: [] }),
    reloadData: async () => { await refresh(); return true }
  }

  addEventListener('message', async (event) => {
    const message = parse(event.data)
    const frame = message && frames.get(message.sid)
    if (!frame || event.source !== frame.iframe.contentWindow || event.origin !== frame.view.origin) return
    const run = Object.hasOwn(commands, message.command) ? commands[message.command] : null
    if (!run) return
    const value = await run(frame, message.params ?? {})
    if (value !== undefined) reply(frame, message.callback, value)
  })

  // mount fills a box with the iframe and the form of a view, unless the server did.
  function mount(box, view) {
    let iframe = box.querySelector('iframe')
    let form = box.querySelector('form')
    if (!iframe) {
      iframe = document.createElement('iframe')
      iframe.name = view.name
      iframe.title = 'Application'
      iframe.dataset.testid = 'app-frame'
      form = document.createElement('form')
      form.hidden = true
      form.method = 'post'
      form.action = view.url
      form.target = view.name
      for (const [name, value] of Object.entries(view.fields)) {
        const input = document.createElement('input')
        input.type = 'hidden'
        input.name = name
        input.value = value
        form.append(input)
      }
      box.append(iframe, form)
    }
    const frame = { view, iframe }
    frames.set(view.sid, frame)
    form.submit()
    return frame
  }

  const element = (tag, attributes, ...children) => {
    const e = document.createElement(tag)
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v)
    e.append(...children)
    return e
  }

  function fieldRow(f) {
    let shown = f.Text || element('span', { class: 'faint' }, 'empty')
    if (f.Kind === 'url' && f.Text) {
      shown = element('a', { target: '_blank', rel: 'noopener' }, f.Text)
      if (/^https?:/.test(f.Text)) shown.href = f.Text
    }
    return element('div', {}, element('dt', {}, f.Label), element('dd', { 'data-testid': 'field-' + f.Code, 'data-value': f.Value }, shown))
  }

  function runRow(r) {
    const values = Object.entries(r.values).map(([name, value]) => name + ': ' + value).join(' · ')
    return element('div', { class: 'run', 'data-testid': 'run', 'data-done': String(r.done) }, r.done ? values || 'done' : r.code + ': waiting')
  }

  const card = document.querySelector('[data-deal]')
  let last = ''

  async function refresh() {
    if (!card) return
    let raw
    try {
      const r = await fetch('/page/deal/' + card.dataset.deal)
      if (!r.ok) return
      raw = await r.text()
    } catch { return } // the next second tries again
    if (raw === last) return
    last = raw
    const deal = JSON.parse(raw)
    const stage = document.querySelector('[data-testid=stage]')
    stage.textContent = deal.stage.name
    stage.dataset.value = deal.stage.id
    stage.style.setProperty('--stage', deal.stage.color)
    const edit = card.querySelector('.edit')
    card.querySelector('.nothing').hidden = deal.notes.length + deal.tasks.length > 0
    card.querySelector('.runs')?.replaceChildren(...deal.runs.map(runRow))
    if (!edit.dataset.touched) { // what is being typed stays
      edit.elements.stage.value = deal.stage.id
      edit.elements.amount.value = deal.fields.find((f) => f.Code === 'OPPORTUNITY').Value
    }
    card.querySelector('.fields').replaceChildren(...deal.fields.map(fieldRow))
    card.querySelector('.tasks').replaceChildren(...deal.tasks.map((t) =>
      element('div', { class: t.done ? 'task done' : 'task', 'data-testid': 'task', 'data-done': String(t.done) }, t.text)))
    card.querySelector('.notes').replaceChildren(...deal.notes.slice().reverse().map((n) =>
      element('div', { class: 'note', 'data-testid': 'note' }, element('time', { datetime: n.at }, new Date(n.at).toLocaleString()), n.text)))
  }

  for (const box of document.querySelectorAll('[data-frame]')) mount(box, JSON.parse(box.dataset.frame))
  if (card) {
    card.querySelector('.edit').addEventListener('input', (e) => { e.currentTarget.dataset.touched = 'yes' })
    refresh()
    setInterval(refresh, 1000)
  }
})()
