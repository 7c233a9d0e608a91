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
	Deal          string          `db:"deal_id"`
	State         string          `db:"state"` // written, waiting, failed
	Written       json.RawMessage `db:"written"`
	WrittenAt     *time.Time      `db:"written_at"`
	Reason        string          `db:"reason"` // a code: transient, throttled, blocked, revoked, gone, refused
	NextTry       *time.Time      `db:"next_try"`
	Since         *time.Time      `db:"since"`       // of waiting: since when something has been promised
	Overwritten   []string        `db:"overwritten"` // what somebody changed in the CRM of what we had written
	OverwrittenAt *time.Time      `db:"overwritten_at"`
	Repaired      bool            `db:"repaired"`
	Repairs       int             `db:"repairs"`
}

// SyncOf reads how far one deal is behind: waiting while a push is open, failed when it was given up. A push that did
// not fail itself waits for the reason that its lane does.
func SyncOf(ctx context.Context, tx *tenants.Tx, deal string) (Sync, error) {
	all, err := SyncsOf(ctx, tx, []string{deal})
	return all[deal], err
}

// SyncsOf is SyncOf for many deals.
func SyncsOf(ctx context.Context, tx *tenants.Tx, deals []string) (map[string]Sync, error) {
	rows, err := tenants.Rows[Sync](ctx, tx, `
		SELECT w.deal_id, CASE WHEN o.dead THEN 'failed' WHEN o.id IS NOT NULL THEN 'waiting' WHEN d.state IS NULL THEN 'waiting' ELSE d.state END AS state,
			d.written, d.written_at, CASE WHEN o.id IS NULL THEN coalesce(d.reason, '') ELSE coalesce(nullif(o.last_error, ''), l.paused_why, '') END AS reason,
			CASE WHEN NOT o.dead THEN o.due_at END AS next_try, CASE WHEN NOT o.dead THEN o.created_at END AS since,
			d.overwritten, d.overwritten_at, coalesce(d.repaired, false) AS repaired, coalesce(d.repairs, 0) AS repairs
		FROM unnest($1::text[]) AS w(deal_id)
		LEFT JOIN deal_sync d ON d.deal_id = w.deal_id
		LEFT JOIN LATERAL (SELECT id, last_error, due_at, created_at, dead_at IS NOT NULL AS dead FROM outbox
			WHERE kind = 'push' AND key = w.deal_id AND done_at IS NULL ORDER BY dead_at DESC NULLS FIRST LIMIT 1) o ON true
		LEFT JOIN lanes l ON true`, deals)
	if err != nil {
		return nil, fmt.Errorf("read sync: %w", err)
	}
	all := make(map[string]Sync, len(rows))
	for _, s := range rows {
		all[s.Deal] = s
	}
	return all, nil
}

// Written is what the CRM took of one deal.
type Written struct {
	Deal    string          `db:"deal_id"`
	State   json.RawMessage `db:"written"` // nil when it took nothing yet
	At      *time.Time      `db:"written_at"`
	Rewrite bool            `db:"rewrite"` // write it also when it is the same: somebody overwrote it
	Remove  bool            `db:"remove"`  // and move the deal to its stage again
}

// WrittenOf asks for what the CRM last took of these deals; those never written are left out.
func WrittenOf(tx *tenants.Tx, into *[]Written, deals []string) {
	tenants.Ask(tx, into, `SELECT deal_id, written, written_at, rewrite, remove FROM deal_sync WHERE deal_id = ANY($1)`, deals)
}

// Wrote notes what the CRM took.
func Wrote(tx *tenants.Tx, now time.Time, written ...Written) {
	if len(written) == 0 {
		return
	}
	deals, states := make([]string, len(written)), make([]string, len(written))
	for i, w := range written {
		deals[i], states[i] = w.Deal, string(w.State)
	}
	tx.Later(`INSERT INTO deal_sync AS d (tenant_id, deal_id, state, written, written_at)
		SELECT $1, w.deal, 'written', w.state::jsonb, $4 FROM unnest($2::text[], $3::text[]) AS w(deal, state)
		ON CONFLICT (tenant_id, deal_id) DO UPDATE SET state = 'written', written = excluded.written, written_at = excluded.written_at, reason = '',
			overwritten = CASE WHEN d.rewrite THEN d.overwritten END, rewrite = false, remove = false`,
		tx.Tenant().String(), deals, states, now)
}

// Unwritten notes that the CRM will not take this deal, and why.
func Unwritten(ctx context.Context, tx *tenants.Tx, deal, reason string) error {
	_, err := tx.Exec(ctx, `INSERT INTO deal_sync (tenant_id, deal_id, state, reason) VALUES ($1, $2, 'failed', $3)
		ON CONFLICT (tenant_id, deal_id) DO UPDATE SET state = 'failed', reason = excluded.reason`, tx.Tenant().String(), deal, reason)
	return err
}

// Learned keeps what we know of a written deal now, without having written it.
func Learned(ctx context.Context, tx *tenants.Tx, w Written) error {
	_, err := tx.Exec(ctx, `UPDATE deal_sync SET written = $2 WHERE deal_id = $1`, w.Deal, w.State)
	return err
}

// Overwritten notes that somebody changed in the CRM what we had written. repairs counts the repairs that followed one
// another; 0 leaves it as it is.
func Overwritten(ctx context.Context, tx *tenants.Tx, deal string, what []string, now time.Time, repairs int) error {
	_, err := tx.Exec(ctx, `UPDATE deal_sync SET overwritten = $2, overwritten_at = $3, repaired = $4 > 0,
		repairs = CASE WHEN $4 > 0 THEN $4 ELSE repairs END WHERE deal_id = $1`,
		deal, what, now, repairs)
	return err
}

// Intact notes that the CRM holds what we wrote. What was repaired stays to be seen.
func Intact(ctx context.Context, tx *tenants.Tx, deal string) error {
	_, err := tx.Exec(ctx, `UPDATE deal_sync SET overwritten = NULL WHERE deal_id = $1 AND NOT repaired`, deal)
	return err
}

// Rewrite promises that a deal's fields are written again although they are the same; with stage it is also moved to the
// stage of its status again.
func Rewrite(ctx context.Context, tx *tenants.Tx, deal string, stage bool, now time.Time) error {
	if _, err := tx.Exec(ctx, `UPDATE deal_sync SET rewrite = true, remove = remove OR $2 WHERE deal_id = $1`, deal, stage); err != nil {
		return err
	}
	return Make(ctx, tx, Push, deal, now)
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
