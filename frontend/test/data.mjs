// What a server would answer, for the unit tests and the screenshots.
export const now = '2025-03-10T08:05:00Z'
export const amd = minor => ({minor, currency: 'AMD'})

/** invoice is an unpaid, unsent invoice of 50,000 AMD; changes are laid over it. */
export function invoice(changes = {}) {
  return {
    id: 'i1', number: 'D-1042', deal_id: '1', status: 'awaiting_payment', amount: amd(5000000), paid: amd(0), refunded: amd(0),
    outstanding: amd(5000000), purpose: 'Deposit for the kitchen', url: 'https://pay.example.com/p/Zk3v9QmN2xW8yT4rB6cD1f',
    expires_at: '2025-03-13T08:00:00Z', paid_at: null, acquirer_paid_at: null, provider_ref: '', created_at: '2025-03-10T07:50:00Z',
    locked: false, attempts: [], sends: [], payments: [], sync: {state: 'written', written_at: '2025-03-10T07:50:03Z', reason: '', next_try_at: null, waits_since: null},
    qr_url: 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==',
    can: ['edit', 'send', 'cancel', 'check', 'record', 'replace'], refunds: [], moves: [], receipts: [], ...changes,
  }
}

export const sent = (changes = {}) => invoice({
  locked: true, can: ['send', 'cancel', 'check', 'record', 'replace'], sends: [{at: '2025-03-10T07:58:00Z', by: 'user:7', channel: 'copy'}], ...changes,
})

export const paid = (changes = {}) => invoice({
  id: 'i0', number: 'D-1041', status: 'paid', paid: amd(5000000), outstanding: amd(0), locked: true, can: ['check', 'refund', 'receipt'],
  give_back: {most: amd(5000000), acquirer: 'vpos_am', methods: ['api'], partial: true, open: false},
  paid_at: '2025-03-10T08:04:03Z', acquirer_paid_at: '2025-03-10T08:04:00Z', provider_ref: '18273645',
  attempts: [{id: 'a1', status: 'paid', acquirer: 'vpos_am', provider_ref: '18273645', created_at: '2025-03-10T08:02:00Z', checked_at: '2025-03-10T08:04:03Z'}],
  sends: [{at: '2025-03-10T07:58:00Z', by: 'user:7', channel: 'copy'}],
  sync: {state: 'written', written_at: '2025-03-10T08:04:20Z', reason: '', next_try_at: null, waits_since: null}, created_at: '2025-03-10T07:49:00Z', ...changes,
})

export const exception = (changes = {}) => ({
  id: 'e1', kind: 'second_payment', deal_id: '1', invoice_id: 'i0', invoice_number: 'D-1041', since: '2025-03-10T08:03:00Z', amount: amd(5000000),
  what_happened: 'The customer paid this invoice twice: 50,000 ֏ at 12:02 and 50,000 ֏ at 12:03.',
  what_to_do: 'Give one payment back, or accept it toward the rest of the deal.', decisions: ['refund', 'accept', 'move'], reserved: [], ...changes,
})

/** card is the card of a deal over 150,000 AMD; deal lies over its balance, changes over the card. */
export function card(deal = {}, changes = {}) {
  return {
    deal: {deal_id: '1', status: '', due: amd(0), paid: amd(0), refunded: amd(0), outstanding: amd(0), invoices: [], exceptions: [], ...deal},
    title: 'Kitchen', defaults: {amount: amd(15000000), purpose: 'Kitchen, oak', expires_at: '2025-03-13T08:00:00Z'},
    role: 'admin', test: false, ready: true, methods: ['VPOS.am'], time_zone: 'Asia/Yerevan', merchant: 'Oak & Stone',
    contact: {name: 'Customer', phone: '', email: ''}, me: 'user:7', mail: true, rates: {}, language: 'en', now,
    acquirers: [{acquirer: 'vpos_am', name: 'VPOS.am', currencies: ['AMD'], whole_units: false}, {acquirer: 'idram', name: 'Idram', currencies: ['AMD'], whole_units: false}], ...changes,
  }
}

export const history = {items: [
  {at: '2025-03-10T07:49:00Z', actor: 'user:7', action: 'invoice.created', from: '', to: 'awaiting_payment', evidence: {}},
  {at: '2025-03-10T07:58:00Z', actor: 'user:7', action: 'invoice.sent', from: '', to: '', evidence: {}},
  {at: '2025-03-10T08:04:03Z', actor: 'acquirer', action: 'attempt.paid', from: 'awaiting_payment', to: 'paid', request_id: '01a2-77f3',
    evidence: {source: 'status_answer', notice: '5b1e-09ac', code: 'captured'}},
], next: null}

/** message is what carries an invoice's link. */
export const message = {subject: 'Oak & Stone: payment of 50,000 AMD', text: 'Hello,\n\nplease pay 50,000 AMD to Oak & Stone.\n\nhttps://pay.example.com/p/Zk3v9QmN2xW8yT4rB6cD1f'}

const lacks = minor => ({defaults: {amount: amd(minor), purpose: 'Kitchen, oak', expires_at: '2025-03-13T08:00:00Z'}})
const waiting = {state: 'waiting', written_at: null, reason: 'throttled', next_try_at: '2025-03-10T08:06:00Z', waits_since: '2025-03-10T08:00:00Z'}

/** cards are the states that must each look intended. */
export const cards = {
  first: card(),
  unsent: card({status: 'awaiting_payment', due: amd(5000000), outstanding: amd(5000000), invoices: [invoice()]}, lacks(0)),
  resend: card({status: 'awaiting_payment', due: amd(15000000), paid: amd(5000000), outstanding: amd(10000000), invoices: [
    sent({amount: amd(10000000), outstanding: amd(10000000), purpose: 'The rest, on delivery'}), paid()]}, lacks(0)),
  needs: card({status: 'manual_review', due: amd(15000000), paid: amd(10000000), outstanding: amd(5000000),
    invoices: [paid({status: 'manual_review'})], exceptions: [exception()]}, {...lacks(5000000), test: true}),
  paid: card({status: 'paid', due: amd(5000000), paid: amd(5000000), invoices: [paid()]}, lacks(0)),
  late: card({status: 'paid', due: amd(5000000), paid: amd(5000000),
    invoices: [paid({paid_at: '2025-03-10T08:00:00Z', acquirer_paid_at: '2025-03-10T07:59:50Z', sync: waiting})]}, lacks(0)),
  mixed: card({status: 'payment_failed', due: amd(40000000), paid: amd(5000000), refunded: amd(1000000), outstanding: amd(35000000), invoices: [
    sent({id: 'i5', status: 'payment_failed', purpose: 'Second part', attempts: [{id: 'a', status: 'failed', acquirer: 'idram', provider_ref: '77', created_at: '2025-03-10T08:01:00Z', checked_at: null}]}),
    paid({status: 'partially_refunded', refunded: amd(1000000)}), invoice({id: 'i6', status: 'expired', can: ['cancel', 'record'], created_at: '2025-02-01T10:00:00Z', expires_at: '2025-02-04T10:00:00Z', purpose: 'Measuring on site, with a very long name that does not fit'}),
    invoice({id: 'i7', status: 'cancelled', can: [], created_at: '2025-01-31T10:00:00Z'}), paid({id: 'i8', status: 'disputed', created_at: '2025-01-30T10:00:00Z'})]}, lacks(5000000)),
  plan: card({status: 'awaiting_payment', due: amd(15000000), outstanding: amd(15000000), invoices: [
    invoice({id: 'i4', number: 'D-1044', amount: amd(10000000), outstanding: amd(10000000), purpose: 'Rest: Kitchen, oak', part: 'remainder'}),
    invoice({id: 'i3', number: 'D-1043', purpose: 'Deposit: Kitchen, oak', part: 'deposit'})]}, lacks(0)),
  expired: card({status: 'expired', due: amd(5000000), outstanding: amd(5000000), invoices: [invoice({status: 'expired', locked: true,
    can: ['cancel', 'record', 'replace'], created_at: '2025-02-01T10:00:00Z', expires_at: '2025-02-04T10:00:00Z'})]}, {defaults: {amount: null, purpose: 'Kitchen, oak', expires_at: '2025-03-13T08:00:00Z'}}),
  cancelled: card({invoices: [invoice({status: 'cancelled', can: [], sends: [{at: '2025-03-10T07:58:00Z', by: 'user:7', channel: 'copy'}]})], status: 'cancelled'}),
  partly: card({status: 'partially_refunded', due: amd(5000000), paid: amd(5000000), refunded: amd(1500000), invoices: [
    paid({status: 'partially_refunded', refunded: amd(1500000), give_back: {most: amd(3500000), acquirer: 'vpos_am', methods: ['api'], partial: true, open: false}})]}, lacks(0)),
  dollars: card({due: {minor: 0, currency: 'USD'}, paid: {minor: 0, currency: 'USD'}, refunded: {minor: 0, currency: 'USD'}, outstanding: {minor: 0, currency: 'USD'}},
    {defaults: {amount: {minor: 50000, currency: 'USD'}, purpose: 'Payment for deal 1', expires_at: '2025-03-13T08:00:00Z'}, rates: {'USD/AMD': '387.5'}}),
  drift: card({status: 'awaiting_payment', due: amd(15000000), outstanding: amd(15000000), drift: {was: amd(15000000), now: amd(18000000)},
    invoices: [sent({amount: amd(15000000), outstanding: amd(15000000)})]}, lacks(3000000)),
  approval: card({status: 'paid', due: amd(5000000), paid: amd(5000000), exceptions: [exception({id: 'e2', kind: 'refund_approval', amount: amd(5000000),
    what_happened: 'A refund above your limit waits for a second administrator.', what_to_do: 'Another administrator than the one who asked approves it, or anybody rejects it.',
    decisions: ['approve', 'reject']})], invoices: [paid({give_back: {most: amd(5000000), acquirer: 'vpos_am', methods: ['api'], partial: true, limit: 1000000, open: true},
    refunds: [{id: 'r1', amount: amd(5000000), status: 'waiting', method: 'api', reference: '', reason: 'The order was cancelled', asked_by: 'user:1', approved_by: '', created_at: '2025-03-10T08:04:30Z'}]})]}, lacks(0)),
  manager: card({status: 'manual_review', due: amd(5000000), paid: amd(10000000), overpaid: amd(5000000), invoices: [paid({status: 'manual_review', can: ['check']})],
    exceptions: [exception({decisions: ['accept'], reserved: ['refund', 'move']})]}, {...lacks(0), role: 'manager'}),
  long: card({status: 'awaiting_payment', due: amd(1000000000000), paid: amd(999999999950), outstanding: amd(50), invoices: [sent({amount: amd(1000000000000), outstanding: amd(50),
    purpose: 'Верхнебуровыхработоборудованияпоставка and everything that belongs to it, delivered and mounted on the third floor'})]}, lacks(0)),
  notready: card({}, {ready: false, role: 'manager'}),
}
