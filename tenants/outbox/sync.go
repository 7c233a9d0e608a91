package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dealpay/dealpay/tenants"
)

// Sync says how far a deal's CRM card is behind.
type Sync struct {
	Deal      string          `db:"deal_id"`
	State     string          `db:"state"` // written, waiting, failed
	Written   json.RawMessage `db:"written"`
	WrittenAt *time.Time      `db:"written_at"`
	Reason    string          `db:"reason"` // a code: transient, throttled, revoked, gone, refused
	NextTry   *time.Time      `db:"next_try"`
}

// SyncOf reads how far one deal is behind: waiting while a push is open, failed when it was given up. A push that did
// not fail itself waits for the reason that its lane does.
func SyncOf(ctx context.Context, tx *tenants.Tx, deal string) (Sync, error) {
	s, err := tenants.Row[Sync](ctx, tx, `
		SELECT w.deal_id, CASE WHEN o.dead THEN 'failed' WHEN o.id IS NOT NULL THEN 'waiting' WHEN d.state IS NULL THEN 'waiting' ELSE d.state END AS state,
			d.written, d.written_at, CASE WHEN o.id IS NULL THEN coalesce(d.reason, '') ELSE coalesce(nullif(o.last_error, ''), l.paused_why, '') END AS reason,
			CASE WHEN NOT o.dead THEN o.due_at END AS next_try
		FROM (SELECT $1::text AS deal_id) w
		LEFT JOIN deal_sync d ON d.deal_id = w.deal_id
		LEFT JOIN LATERAL (SELECT id, last_error, due_at, dead_at IS NOT NULL AS dead FROM outbox
			WHERE kind = 'push' AND key = w.deal_id AND done_at IS NULL ORDER BY dead_at DESC NULLS FIRST LIMIT 1) o ON true
		LEFT JOIN lanes l ON true`, deal)
	if err != nil {
		err = fmt.Errorf("read sync: %w", err)
	}
	return s, err
}

// Written is what the CRM took of one deal; State is nil when it has to be written again.
type Written struct {
	Deal  string          `db:"deal_id"`
	State json.RawMessage `db:"written"`
}

// WrittenOf reads what the CRM last took of these deals; those never written are left out.
func WrittenOf(ctx context.Context, tx *tenants.Tx, deals []string) (map[string]json.RawMessage, error) {
	rows, err := tenants.Rows[Written](ctx, tx, `SELECT deal_id, written FROM deal_sync WHERE deal_id = ANY($1)`, deals)
	if err != nil {
		return nil, fmt.Errorf("read what was written: %w", err)
	}
	states := make(map[string]json.RawMessage, len(rows))
	for _, w := range rows {
		states[w.Deal] = w.State
	}
	return states, nil
}

// Wrote notes what the CRM took.
func Wrote(ctx context.Context, tx *tenants.Tx, now time.Time, written ...Written) error {
	if len(written) == 0 {
		return nil
	}
	deals, states := make([]string, len(written)), make([]string, len(written))
	for i, w := range written {
		deals[i], states[i] = w.Deal, string(w.State)
	}
	_, err := tx.Exec(ctx, `INSERT INTO deal_sync (tenant_id, deal_id, state, written, written_at)
		SELECT $1, w.deal, 'written', w.state::jsonb, $4 FROM unnest($2::text[], $3::text[]) AS w(deal, state)
		ON CONFLICT (tenant_id, deal_id) DO UPDATE SET state = 'written', written = excluded.written, written_at = excluded.written_at, reason = ''`,
		tx.Tenant().String(), deals, states, now)
	return err
}

// Unwritten notes that the CRM will not take this deal, and why.
func Unwritten(ctx context.Context, tx *tenants.Tx, deal, reason string) error {
	_, err := tx.Exec(ctx, `INSERT INTO deal_sync (tenant_id, deal_id, state, reason) VALUES ($1, $2, 'failed', $3)
		ON CONFLICT (tenant_id, deal_id) DO UPDATE SET state = 'failed', reason = excluded.reason`, tx.Tenant().String(), deal, reason)
	return err
}

// Stale forgets what was written, so that the next push writes everything again.
func Stale(ctx context.Context, tx *tenants.Tx, deal string) error {
	_, err := tx.Exec(ctx, `UPDATE deal_sync SET written = NULL WHERE deal_id = $1`, deal)
	return err
}

// Backlog is how much of a tenant's work waits.
type Backlog struct {
	Waiting int        `db:"waiting"`
	Oldest  *time.Time `db:"oldest"`
	Dead    int        `db:"dead"`
}

// BacklogOf counts what waits for the CRM and what was given up.
func BacklogOf(ctx context.Context, tx *tenants.Tx) (Backlog, error) {
	return tenants.Row[Backlog](ctx, tx, `SELECT count(*) FILTER (WHERE kind = 'push' AND dead_at IS NULL) AS waiting,
		min(created_at) FILTER (WHERE kind = 'push' AND dead_at IS NULL) AS oldest, count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead
		FROM outbox WHERE done_at IS NULL`)
}
