package outbox

import (
	"encoding/json"
	"time"

	"github.com/dealpay/dealpay/tenants"
)

// EffectKind names what is not idempotent at the CRM.
type EffectKind string

// The kinds of effects.
const (
	Note      EffectKind = "note"
	Task      EffectKind = "task"
	CloseTask EffectKind = "close_task"
)

// Telling is what a note or task has to say; the words are found when it is sent, in the tenant's language.
type Telling struct {
	What      string    `json:"what"` // "paid", "refunded", an exception's kind, …
	Invoice   string    `json:"invoice,omitempty"`
	Minor     int64     `json:"minor,omitempty"`
	Currency  string    `json:"currency,omitempty"`
	Reference string    `json:"reference,omitempty"` // the acquirer's, or of what a person recorded, the document's
	ByHand    string    `json:"by_hand,omitempty"`   // the way of money that a person recorded: cash, transfer, other
	Other     string    `json:"other,omitempty"`     // of moved money: the number of the other invoice, empty where it came from none
	At        time.Time `json:"at,omitzero"`
	Of        string    `json:"of,omitempty"` // of CloseTask: the key of the task's effect
}

// Plan notes an effect with a deterministic key, in the transaction that causes it; planning it twice is one effect.
// The caller also promises a push of the deal.
func Plan(tx *tenants.Tx, kind EffectKind, key, deal string, t Telling) {
	tx.Later(`INSERT INTO effects (tenant_id, key, deal_id, kind, reference, body) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (tenant_id, key) DO NOTHING`, tx.Tenant().String(), key, deal, string(kind), tenants.NewNumber("DPN"), t)
}

// Effect is a planned effect that is not known to have happened.
type Effect struct {
	Key        string          `db:"key"`
	Deal       string          `db:"deal_id"`
	Kind       EffectKind      `db:"kind"`
	Reference  string          `db:"reference"`
	Body       json.RawMessage `db:"body"`
	Status     string          `db:"status"`      // planned, or sending: an earlier run may have done it
	DoubtUntil *time.Time      `db:"doubt_until"` // of sending: until then the earlier run's call may still be carried out
	RemoteOf   string          `db:"remote_of"`   // of CloseTask: the task's remote id, empty until it was sent
	OfStatus   string          `db:"of_status"`   // of CloseTask: the task's status
}

// Telling returns what the effect has to say.
func (e Effect) Telling() (Telling, error) {
	var t Telling
	err := json.Unmarshal(e.Body, &t)
	return t, err
}

// Open asks for the effects of these deals that still have to happen, in the order they were planned.
func Open(tx *tenants.Tx, into *[]Effect, deals []string) {
	tenants.Ask(tx, into, `
		SELECT e.key, e.deal_id, e.kind, e.reference, e.body, e.status, e.doubt_until, coalesce(o.remote_id, '') AS remote_of,
			coalesce(o.status, '') AS of_status
		FROM effects e LEFT JOIN LATERAL (SELECT remote_id, status FROM effects WHERE e.kind = 'close_task' AND tenant_id = e.tenant_id
			AND key = e.body->>'of' OFFSET 0) o ON true -- each by its key, also before the database has counted the rows
		WHERE e.deal_id = ANY($1) AND e.status IN ('planned', 'sending') ORDER BY e.n`, deals)
}

// settles is how long a CRM that lives takes at most over a call whose caller has died. It is not longer than the time in which
// another worker takes over: a note does not come later than the fields beside it.
const settles = 4 * time.Second

// Sending notes, before the call, that these effects are about to happen.
func Sending(tx *tenants.Tx, keys []string, now time.Time) {
	if len(keys) > 0 {
		tx.Later(`UPDATE effects SET status = 'sending', sending_at = $2, doubt_until = $3 WHERE key = ANY($1)`, keys, now, now.Add(settles))
	}
}

// Doubt notes that an effect may happen until then: the CRM did not answer in time, and goes on.
func Doubt(tx *tenants.Tx, key string, until time.Time) {
	tx.Later(`UPDATE effects SET doubt_until = $2 WHERE key = $1 AND status = 'sending'`, key, until)
}

// Receipt is the CRM's word that an effect happened, and what it calls it.
type Receipt struct{ Key, RemoteID string }

// Sent notes that effects happened.
func Sent(tx *tenants.Tx, now time.Time, receipts ...Receipt) {
	if len(receipts) == 0 {
		return
	}
	keys, ids := make([]string, len(receipts)), make([]string, len(receipts))
	for i, r := range receipts {
		keys[i], ids[i] = r.Key, r.RemoteID
	}
	tx.Later(`UPDATE effects e SET status = 'sent', remote_id = r.id, sent_at = $3, last_error = ''
		FROM unnest($1::text[], $2::text[]) AS r(key, id) WHERE e.key = r.key`, keys, ids, now)
}

// Unsent notes that effects certainly did not happen: they are only planned again.
func Unsent(tx *tenants.Tx, keys ...string) {
	if len(keys) > 0 {
		tx.Later(`UPDATE effects SET status = 'planned' WHERE key = ANY($1) AND status = 'sending'`, keys)
	}
}

// restore plans again what the CRM would not take in these deals; a task only while nothing closes it.
func restore(tx *tenants.Tx, deals ...string) {
	tx.Later(`UPDATE effects e SET status = 'planned', last_error = '' WHERE deal_id = ANY($1) AND `+lost+` AND kind <> 'close_task'
		AND NOT EXISTS (SELECT FROM effects c WHERE c.deal_id = e.deal_id AND c.kind = 'close_task' AND c.body->>'of' = e.key)`, deals)
}

// lost is of an effect that the CRM would not take.
const lost = `status = 'dropped' AND last_error = 'refused'`

// Forget gives up an effect that can never happen, or need not any more.
func Forget(tx *tenants.Tx, key, reason string) {
	tx.Later(`UPDATE effects SET status = 'dropped', last_error = $2 WHERE key = $1 AND status <> 'sent'`, key, reason)
}
