// What a server would answer on the settings page.
const field = (key, label, secret = false, optional = false) => ({key, label, secret, optional})
const acquirer = (key, name, changes = {}) => ({acquirer: key, name, connected: false, test: false, checked_at: null, refused_at: null, hook_url: `https://pay.example.com/hooks/${key}/4kQ9x2Zr7`,
  currencies: ['AMD'], refunds: true, denied: [], fields: [field('login', 'API login'), field('password', 'API password', true)], ...changes})

export const settings = {
  crm: 'bitrix24', domain: 'acme.bitrix24.com', name: 'Acme', connect_url: '', version: '1.0.0', role: 'admin',
  settings: {language: 'en', time_zone: 'Asia/Yerevan', link_hours: 72, merchant: 'Oak & Stone', accent: '#0f766e', stages: {0: {awaiting_payment: 'C2', paid: 'WON'}}, fields: {}},
  health: {status: 'active', status_why: '', token_at: '2025-03-10T07:00:00Z', token_expires_at: '2025-03-10T09:00:00Z', setup: true, waiting: 2, oldest_waiting_at: '2025-03-10T08:04:00Z',
    failed: 1, failures: [{id: 7, kind: 'push', key: '41', since: '2025-03-10T07:10:00Z', reason: 'refused'}], paused_until: null, paused_why: '', last_call_at: '2025-03-10T08:04:30Z', head_room: 0.92, blocked_until: null, busy_methods: [], last_calls: [{at: '2025-03-10T08:04:30Z', what: 'write', deals: 3, outcome: 'ok', took_ms: 120}]},
  acquirers: [acquirer('vpos_am', 'VPOS.am', {connected: true, test: true, checked_at: '2025-03-10T06:00:00Z'}), acquirer('idram', 'Idram', {refunds: false, fields: [field('account', 'EDP_REC_ACCOUNT'), field('secret', 'Secret key', true)]}),
    acquirer('stripe', 'Stripe', {currencies: []})],
}

const stages = [['C1', 'New', 'open'], ['C2', 'Invoice sent', 'open'], ['C3', 'In production', 'open'], ['WON', 'Deal won', 'won'], ['LOSE', 'Deal lost', 'lost']].map(([id, name, kind]) => ({id, name, kind}))
const entry = (at, actor, action, from = '', to = '') => ({at, actor, action, deal_id: '1', invoice_id: null, from, to, evidence: {}})

const run = (id, day, acquirer, changes = {}) => ({id, day, acquirer, state: 'done', total: 40, checked: 40, repaired: 0, unanswered: 0, crm_skipped: '', asked_by: 'timer', started_at: null, finished_at: '2025-03-10T00:10:00Z', open: 0, ...changes})
const mismatch = (n, kind, ours, theirs) => ({run_id: 'r1', n, kind, attempt_id: null, deal_id: '4', reference: '10428', ours, theirs, source: 'acquirer', owner: 'accountant', state: 'open', reason: '', found_at: '2025-03-10T00:08:00Z', changed_at: null, changed_by: ''})

export const answers = {
  '/settings': settings,
  '/pipelines': {items: [{id: '0', name: 'Sales', stages}, {id: '1', name: 'Repeat orders', stages}]},
  '/fields': {items: [{id: 'UF_1', name: 'Accounting: status', type: 'text', writable: true, fits: ['status', 'paid', 'refunded', 'outstanding', 'link', 'reference']},
    {id: 'UF_2', name: 'Accounting: received', type: 'money', writable: true, fits: ['paid', 'refunded', 'outstanding']}]},
  '/exceptions': {items: [{id: 'e1', kind: 'paid_after_expiry', deal_id: '12', invoice_id: 'i', invoice_number: 'D-1010', since: '2025-03-09T12:00:00Z', amount: {minor: 2500000, currency: 'AMD'},
    what_happened: 'The customer paid after the link had expired.', what_to_do: 'Accept the payment, or give the money back.', decisions: ['accept', 'refund']}], next: null},
  '/acts': {items: [{id: 'd1', kind: 'write_off', amount: {minor: 2400000, currency: 'AMD'}, invoice_id: 'i3', invoice_number: 'D-1007', deal_id: '9', by: 'user:1', reason: 'The bank kept its fee', reference: '', at: '2025-03-09T14:00:00Z', undone: false, may_undo: true},
    {id: 'g5', kind: 'given_back', method: 'cash', amount: {minor: 500000, currency: 'AMD'}, invoice_id: 'i5', invoice_number: 'D-1002', deal_id: '2', by: 'user:1', reason: 'The card is closed', reference: 'KO-1', at: '2025-03-08T15:00:00Z', undone: false, may_undo: true},
    {id: 'p4', kind: 'payment', method: 'transfer', amount: {minor: 1000000, currency: 'AMD'}, invoice_id: 'i4', invoice_number: 'D-1003', deal_id: '3', by: 'user:7', reason: 'Seen on the statement', reference: 'BANK-17', at: '2025-03-08T14:00:00Z', undone: true, may_undo: false}], next: null},
  '/audit': {items: [entry('2025-03-10T08:04:03Z', 'acquirer', 'attempt.paid', 'awaiting_payment', 'paid'), entry('2025-03-10T07:58:00Z', 'user:7', 'invoice.sent'),
    entry('2025-03-10T07:49:00Z', 'user:7', 'invoice.created'), entry('2025-03-09T10:00:00Z', 'user:1', 'settings.changed')], next: 'x'},
  '/api-keys': {items: [{id: 'k1', name: 'Accounting', role: 'accountant', hint: 'dpk_…9f2c', created_by: 'user:1', created_at: '2025-03-01T10:00:00Z', revoked_at: null},
    {id: 'k2', name: 'Old site', role: 'manager', hint: 'dpk_…77aa', created_by: 'user:1', created_at: '2025-01-01T10:00:00Z', revoked_at: '2025-02-01T10:00:00Z'}], next: null},
  '/acquirers/vpos_am/test': {ok: true},
  '/settings/payments': {routes: [{currency: 'USD', pipeline: '', acquirers: ['stripe']}], rates: {'USD/AMD': '387.5'}, refund_limits: {AMD: 50000000}, deal_title: false,
    templates: {en: {subject: '{merchant}: payment of {amount}', text: 'Hello,\n\nplease pay {amount} for: {purpose}.\n\n{link}'}}},
  '/settings/mail': {host: 'smtp.example.com', port: 465, security: 'tls', username: 'pay', sender: 'pay@example.com', name: 'Oak & Stone', checked_at: '2025-03-10T07:00:00Z'},
  '/people': {items: [{id: '1', name: 'Armen', role: 'admin', administrator: true, seen_at: '2025-03-10T08:00:00Z', changed_by: ''},
    {id: '7', name: 'Nare', role: 'accountant', administrator: false, seen_at: '2025-03-09T08:00:00Z', changed_by: 'user:1'}], next: null},
  '/reconciliations': {items: [run('r1', '2025-03-09', 'vpos_am', {open: 2}), run('r2', '2025-03-09', 'stripe'), run('r3', '2025-03-08', 'vpos_am', {state: 'running', checked: 12})], next: null},
  '/mismatches': {items: [mismatch(1, 'amount_differs', '1500.50 AMD', '1000.00 AMD'), mismatch(2, 'missing_here', '', 'payment 70.00 AMD')], next: null},
  '/registers': {items: [{id: 'g1', acquirer: 'idram', lines: 214, known: 3, unmatched: 1, skipped: {fee: 2, payout: 1}, first_day: '2025-03-01', last_day: '2025-03-07', imported_by: 'user:7', imported_at: '2025-03-08T08:00:00Z'}], next: null},
  '/registers/vpos_am/mapping': {delimiter: ';', encoding: 'utf-8', decimal: ',', date: 'dd.mm.yyyy', currency: 'AMD', skip: 0, kinds: {}, columns: {kind: '', reference: 'Order', provider_ref: '', amount: 'Amount', fee: 'Fee', currency: '', date: 'Settled'}},
  '/receipts/missing': {items: [{payment: 'p1', invoice_id: 'i1', invoice_number: 'D-1041', deal_id: '4', amount: {minor: 5000000, currency: 'AMD'}, paid_at: '2025-03-10T08:04:00Z'}], next: null},
  '/periods': {items: [{month: '2025-01', locked_at: '2025-02-03T08:00:00Z', locked_by: 'user:7'}], next: null},
}
