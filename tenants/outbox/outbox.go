// Package outbox holds promises: work that leaves the process, written in the transaction that causes it. A reminder in
// Redis may be lost, doubled or late; the row here is the truth.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
)

// Kind says what was promised; Key what about.
type Kind string

// The kinds of promises.
const (
	Push   Kind = "push"   // bring a deal in the CRM up to date; key: deal id
	Check  Kind = "check"  // ask the acquirer about an attempt; key: attempt id
	Notice Kind = "notice" // find out what a notice is about; key: notice id
	Expire Kind = "expire" // a link's time is over; key: invoice id
	Refund Kind = "refund" // give money back, or find out whether it went; key: refund id
	Email  Kind = "email"  // send a link to the customer; key: the send's id
	Setup  Kind = "setup"  // make fields, placements and subscriptions in the CRM; key: "account"
	Leave  Kind = "leave"  // look whether the CRM account is gone; key: "account"
	Review Kind = "review" // a CRM deal changed: read it and look for drift; key: deal id
	Robot  Kind = "robot"  // answer the rules of the CRM's automation that wait for a deal; key: deal id
	// Reconcile compares acquirer, ledger and CRM; key: day|acquirer.
	Reconcile Kind = "reconcile"
)

// Make promises work at due. Promising what is already open makes the row newer and, at most, earlier: whoever works
// on it now will not close it.
func Make(ctx context.Context, tx *tenants.Tx, kind Kind, key string, due time.Time) error {
	Promise(tx, kind, due, key)
	return tx.Flush(ctx)
}

// Promise is Make for any number of keys that nobody waits for: an error comes with the next statement, or at commit. They
// are written in one order, so that two transactions with the same keys cannot lock each other out.
func Promise(tx *tenants.Tx, kind Kind, due time.Time, keys ...string) {
	if len(keys) == 0 {
		return
	}
	remind(tx, kind, `
		INSERT INTO outbox (tenant_id, kind, key, due_at) SELECT DISTINCT $1::uuid, $2, k, $4::timestamptz FROM unnest($3::text[]) AS k ORDER BY k
		ON CONFLICT (tenant_id, kind, key) WHERE done_at IS NULL AND dead_at IS NULL
		DO UPDATE SET seq = outbox.seq + 1, due_at = least(outbox.due_at, excluded.due_at)
		RETURNING id, due_at`, tx.Tenant().String(), string(kind), keys, due)
}

// Need promises work at due unless it is promised already: what is retried keeps its own pace.
func Need(tx *tenants.Tx, kind Kind, key string, due time.Time) {
	remind(tx, kind, `INSERT INTO outbox (tenant_id, kind, key, due_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (tenant_id, kind, key) WHERE done_at IS NULL AND dead_at IS NULL DO NOTHING RETURNING id, due_at`,
		tx.Tenant().String(), string(kind), key, due)
}

// remind queues a statement and reminds of the promises that it returns.
func remind(tx *tenants.Tx, kind Kind, sql string, args ...any) {
	tenants.Then(tx, func(made []struct {
		ID  int64     `db:"id"`
		Due time.Time `db:"due_at"`
	}) {
		for _, m := range made {
			tx.Remind(tenants.Reminder{Tenant: tx.Tenant(), ID: m.ID, Kind: string(kind), Due: m.Due})
		}
	}, sql, args...)
}

// Stir makes an open promise due now: what it waits for may have come. Harmless when there is none.
func Stir(tx *tenants.Tx, kind Kind, key string, now time.Time) {
	remind(tx, kind, `UPDATE outbox SET seq = seq + 1, due_at = least(due_at, $3), relayed_at = NULL
		WHERE kind = $1 AND key = $2 AND done_at IS NULL AND dead_at IS NULL RETURNING id, due_at`, string(kind), key, now)
}

// Drop takes back a promise that is no longer needed; harmless when there is none.
func Drop(tx *tenants.Tx, kind Kind, key string, now time.Time) {
	tx.Later(`UPDATE outbox SET done_at = $3, seq = seq + 1
		WHERE kind = $1 AND key = $2 AND done_at IS NULL AND dead_at IS NULL`, string(kind), key, now)
}

// Claim is a promise that its holder works on until the lease ends.
type Claim struct {
	ID           int64      `db:"id"`
	Kind         Kind       `db:"kind"`
	Key          string     `db:"key"`
	Seq          int64      `db:"seq"`
	Attempts     int        `db:"attempts"`
	FailingSince *time.Time `db:"failing_since"`
	Owner        uuid.UUID  `db:"claimed_by"`
	Due          time.Time  `db:"due_at"`
}

// Take claims due promises of one kind for owner until now+lease, the oldest first. With id not 0 it takes only that one.
// What owner holds already is left out, also after its lease: an owner that lives works on it.
func Take(ctx context.Context, tx *tenants.Tx, kind Kind, id int64, owner uuid.UUID, now time.Time, lease time.Duration, limit int) ([]Claim, error) {
	return tenants.Rows[Claim](ctx, tx, `
		UPDATE outbox SET claimed_by = $3, claimed_until = $5
		WHERE id IN (
			SELECT id FROM outbox
			WHERE kind = $1 AND ($2 = 0 OR id = $2) AND done_at IS NULL AND dead_at IS NULL AND due_at <= $4
				AND (claimed_until IS NULL OR (claimed_until < $4 AND claimed_by IS DISTINCT FROM $3))
			ORDER BY due_at LIMIT $6 FOR UPDATE SKIP LOCKED)
		RETURNING id, kind, key, seq, attempts, failing_since, claimed_by, due_at`,
		string(kind), id, owner, now, now.Add(lease), limit)
}

// TakeAlone is Take of all that is due of a kind, for one worker of a tenant at a time: while another holds claims of this
// kind it takes nothing, and the other one finds what came meanwhile.
func TakeAlone(ctx context.Context, tx *tenants.Tx, kind Kind, owner uuid.UUID, now time.Time, lease time.Duration, limit int) ([]Claim, error) {
	var free bool
	if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(hashtextextended($1 || $2, 0))
		AND NOT EXISTS (SELECT FROM outbox WHERE kind = $2 AND done_at IS NULL AND dead_at IS NULL AND claimed_until >= $3)`,
		tx.Tenant().String(), string(kind), now).Scan(&free); err != nil || !free {
		return nil, err
	}
	return Take(ctx, tx, kind, 0, owner, now, lease, limit)
}

// ErrLost is returned to a holder whose claim ended and went to somebody else: what it did must not be recorded.
var ErrLost = errors.New("outbox: the claim went to another worker")

// Renew keeps the claims until the lease ends. Error: ErrLost when any of them is no longer held.
func Renew(ctx context.Context, tx *tenants.Tx, claims []Claim, until time.Time) error {
	ids, owners := make([]int64, len(claims)), make([]uuid.UUID, len(claims))
	for i, c := range claims {
		ids[i], owners[i] = c.ID, c.Owner
	}
	tag, err := tx.Exec(ctx, `UPDATE outbox o SET claimed_until = $3 FROM unnest($1::bigint[], $2::uuid[]) AS c(id, owner)
		WHERE o.id = c.id AND o.claimed_by = c.owner AND o.done_at IS NULL AND o.dead_at IS NULL`, ids, owners, until)
	if err == nil && tag.RowsAffected() < int64(len(claims)) {
		err = ErrLost
	}
	return err
}

// Done closes promises that were kept, in the transaction that records the result. One that was promised again
// meanwhile is due at once instead; one that was dropped meanwhile stays closed. Error: ErrLost.
func Done(ctx context.Context, tx *tenants.Tx, now time.Time, claims ...Claim) error {
	if len(claims) == 0 {
		return nil
	}
	ids, owners, seqs := make([]int64, len(claims)), make([]uuid.UUID, len(claims)), make([]int64, len(claims))
	for i, c := range claims {
		ids[i], owners[i], seqs[i] = c.ID, c.Owner, c.Seq
	}
	closed, err := tenants.Rows[struct {
		ID   int64     `db:"id"`
		Open bool      `db:"open"`
		Kind string    `db:"kind"`
		Due  time.Time `db:"due_at"`
	}](ctx, tx, `UPDATE outbox o SET done_at = coalesce(o.done_at, CASE WHEN o.seq = c.seq THEN $4::timestamptz END), claimed_by = NULL, claimed_until = NULL,
			attempts = 0, failing_since = NULL, last_error = '', relayed_at = NULL
		FROM unnest($1::bigint[], $2::uuid[], $3::bigint[]) AS c(id, owner, seq)
		WHERE o.id = c.id AND o.claimed_by = c.owner RETURNING o.id, o.done_at IS NULL AS open, o.kind, o.due_at`, ids, owners, seqs, now)
	if err != nil {
		return fmt.Errorf("close promises: %w", err)
	}
	if len(closed) < len(claims) {
		return ErrLost
	}
	for _, r := range closed {
		if r.Open {
			tx.Remind(tenants.Reminder{Tenant: tx.Tenant(), ID: r.ID, Kind: r.Kind, Due: r.Due})
		}
	}
	return nil
}

func forEach(ctx context.Context, tx *tenants.Tx, claims []Claim, sql string, args ...any) error {
	for _, c := range claims {
		tx.Must(ErrLost, sql, append([]any{c.ID, c.Owner}, args...)...)
	}
	return tx.Flush(ctx)
}

// Again lets go of a promise until due. A failure counts and keeps its reason; without one (throttled, a timer's next
// step) nothing is counted. Error: ErrLost.
func Again(ctx context.Context, tx *tenants.Tx, c Claim, now, due time.Time, failure string) error {
	return forEach(ctx, tx, []Claim{c}, `UPDATE outbox SET claimed_by = NULL, claimed_until = NULL, relayed_at = NULL,
		due_at = CASE WHEN seq = $3 OR $4 <> '' THEN $5 ELSE least(due_at, $5) END, attempts = attempts + ($4 <> '')::int, last_error = $4,
		failing_since = CASE WHEN $4 <> '' THEN coalesce(failing_since, $6) END
		WHERE id = $1 AND claimed_by = $2`, c.Seq, failure, due, now)
}

// Release lets go of promises until due, and counts nothing. Error: ErrLost.
func Release(ctx context.Context, tx *tenants.Tx, due time.Time, claims ...Claim) error {
	if len(claims) == 0 {
		return nil
	}
	return forEach(ctx, tx, claims, `UPDATE outbox SET claimed_by = NULL, claimed_until = NULL, relayed_at = NULL, due_at = $3
		WHERE id = $1 AND claimed_by = $2`, due)
}

// Await lets go of a promise until due, unless it was promised again meanwhile, and counts nothing; reason is what people
// are shown, empty to leave what they are. Error: ErrLost.
func Await(ctx context.Context, tx *tenants.Tx, c Claim, due time.Time, reason string) error {
	return forEach(ctx, tx, []Claim{c}, `UPDATE outbox SET claimed_by = NULL, claimed_until = NULL, relayed_at = NULL,
		last_error = coalesce(nullif($5, ''), last_error),
		due_at = CASE WHEN seq = $3 THEN $4 ELSE due_at END WHERE id = $1 AND claimed_by = $2`, c.Seq, due, reason)
}

// Bury ends a promise that can never be kept; a person may replay it. One that was promised again meanwhile is due at
// once instead: the newer wish was not tried yet. Error: ErrLost.
func Bury(ctx context.Context, tx *tenants.Tx, c Claim, now time.Time, reason string) error {
	return forEach(ctx, tx, []Claim{c}, `UPDATE outbox SET dead_at = CASE WHEN seq = $5 THEN $3::timestamptz END, last_error = $4,
		claimed_by = NULL, claimed_until = NULL, relayed_at = NULL
		WHERE id = $1 AND claimed_by = $2`, now, reason, c.Seq)
}

// Dead is a promise that was given up.
type Dead struct {
	ID     int64     `db:"id"`
	Kind   Kind      `db:"kind"`
	Key    string    `db:"key"`
	DeadAt time.Time `db:"dead_at"`
	Reason string    `db:"last_error"`
}

// Buried lists what was given up, newest first.
func Buried(ctx context.Context, tx *tenants.Tx, limit int) ([]Dead, error) {
	return tenants.Rows[Dead](ctx, tx, `SELECT id, kind, key, dead_at, last_error FROM outbox WHERE dead_at IS NOT NULL AND done_at IS NULL
		ORDER BY dead_at DESC LIMIT $1`, limit)
}

// A replay comes back in portions, so that what people cause meanwhile finds room between them: half of what the slowest
// lane can write.
const (
	replayPortion = 50
	replayEvery   = 2 * time.Second
)

// Replay promises again what was given up: these ids, or everything when ids is nil. Many are due one portion after the
// other. It returns how many.
func Replay(ctx context.Context, tx *tenants.Tx, ids []int64, now time.Time) (int, error) {
	made, err := tenants.Rows[struct {
		ID   *int64     `db:"id"`
		Kind string     `db:"kind"`
		Key  string     `db:"key"`
		Due  *time.Time `db:"due_at"`
	}](ctx, tx, `
		WITH dead AS (
			UPDATE outbox SET done_at = $2 WHERE dead_at IS NOT NULL AND done_at IS NULL
			AND ($1::bigint[] IS NULL OR id = ANY($1)) RETURNING tenant_id, id, kind, key, dead_at),
		one AS (SELECT tenant_id, kind, key, row_number() OVER (ORDER BY min(dead_at), min(id)) - 1 AS n FROM dead GROUP BY tenant_id, kind, key),
		made AS (
			INSERT INTO outbox (tenant_id, kind, key, due_at)
			SELECT tenant_id, kind, key, $2::timestamptz + (n / $3) * $4::interval FROM one ORDER BY n
			ON CONFLICT (tenant_id, kind, key) WHERE done_at IS NULL AND dead_at IS NULL
			DO UPDATE SET seq = outbox.seq + 1, due_at = least(outbox.due_at, excluded.due_at)
			RETURNING id, kind, key, due_at)
		SELECT id, kind, key, due_at FROM made UNION ALL SELECT NULL, kind, key, NULL FROM dead`, ids, now, replayPortion, replayEvery)
	if err != nil {
		return 0, fmt.Errorf("replay: %w", err)
	}
	n := 0
	var deals []string
	for _, m := range made {
		if m.ID == nil {
			n++
			continue
		}
		if m.Kind == string(Push) {
			deals = append(deals, m.Key)
		}
		tx.Remind(tenants.Reminder{Tenant: tx.Tenant(), ID: *m.ID, Kind: m.Kind, Due: *m.Due})
	}
	restore(tx, deals...)
	return n, nil
}

// Recover ends pushes that were given up of deals whose push has now been kept with nothing left out.
func Recover(tx *tenants.Tx, now time.Time, kept []Claim) {
	if len(kept) == 0 {
		return
	}
	deals := make([]string, len(kept))
	for i, c := range kept {
		deals[i] = c.Key
	}
	tx.Later(`UPDATE outbox o SET done_at = $2 WHERE kind = 'push' AND key = ANY($1) AND dead_at IS NOT NULL AND done_at IS NULL
		AND NOT EXISTS (SELECT FROM effects WHERE deal_id = o.key AND `+lost+`)`, deals, now)
}

// Revive is Replay of what was given up about one deal, and harmless when nothing was.
func Revive(ctx context.Context, tx *tenants.Tx, deal string, now time.Time) error {
	dead, err := tenants.Rows[struct {
		ID int64 `db:"id"`
	}](ctx, tx, `SELECT id FROM outbox WHERE kind = 'push' AND key = $1 AND dead_at IS NOT NULL AND done_at IS NULL`, deal)
	if err != nil || len(dead) == 0 {
		return err
	}
	ids := make([]int64, len(dead))
	for i, d := range dead {
		ids[i] = d.ID
	}
	_, err = Replay(ctx, tx, ids, now)
	return err
}

// Hurry makes one promise due now that waits for a later time.
func Hurry(ctx context.Context, tx *tenants.Tx, kind Kind, key string, now time.Time) error {
	return hurry(ctx, tx, kind, now, `UPDATE outbox SET due_at = $2, relayed_at = NULL WHERE kind = $1 AND due_at > $2
		AND done_at IS NULL AND dead_at IS NULL AND key = $3`, key)
}

// Hasten makes every open promise of a kind due now: what it waited for has come.
func Hasten(ctx context.Context, tx *tenants.Tx, kind Kind, now time.Time) error {
	return hurry(ctx, tx, kind, now, `UPDATE outbox SET due_at = $2, relayed_at = NULL WHERE kind = $1 AND due_at > $2
		AND done_at IS NULL AND dead_at IS NULL`)
}

func hurry(ctx context.Context, tx *tenants.Tx, kind Kind, now time.Time, sql string, args ...any) error {
	tag, err := tx.Exec(ctx, sql, append([]any{string(kind), now}, args...)...)
	if err == nil && tag.RowsAffected() > 0 {
		tx.Remind(tenants.Reminder{Tenant: tx.Tenant(), Kind: string(kind), Due: now})
	}
	return err
}

// Postpone moves every unclaimed due promise of a kind to a later time, keeping why; nothing is counted as a failure.
func Postpone(ctx context.Context, tx *tenants.Tx, kind Kind, now, due time.Time, reason string) error {
	_, err := tx.Exec(ctx, `UPDATE outbox SET due_at = $3, last_error = $4, relayed_at = NULL WHERE kind = $1 AND due_at <= $2
		AND done_at IS NULL AND dead_at IS NULL AND (claimed_until IS NULL OR claimed_until < $2)`, string(kind), now, due, reason)
	return err
}
