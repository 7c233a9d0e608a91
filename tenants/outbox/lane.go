package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Lane is one CRM account's turn to be drained: one holder at a time, by a short lease. Lease and wake-ups stand in one
// row, so that no wake-up is lost between the holder's last look and its letting go.
type Lane struct {
	Owner uuid.UUID
	seen  int64
}

// Enter takes the lane. When somebody holds it, the wake-up is left for the holder and ok is false.
func Enter(ctx context.Context, tx *tenants.Tx, owner uuid.UUID, now, until time.Time) (l Lane, ok bool, err error) {
	var holder uuid.UUID
	err = tx.QueryRow(ctx, `
		INSERT INTO lanes AS l (tenant_id, lease_owner, lease_until, wake) VALUES ($1, $2, $4, 1)
		ON CONFLICT (tenant_id) DO UPDATE SET wake = l.wake + 1,
			lease_owner = CASE WHEN l.lease_until IS NULL OR l.lease_until < $3 THEN excluded.lease_owner ELSE l.lease_owner END,
			lease_until = CASE WHEN l.lease_until IS NULL OR l.lease_until < $3 THEN excluded.lease_until ELSE l.lease_until END
		RETURNING lease_owner, wake`, tx.Tenant().String(), owner, now, until).Scan(&holder, &l.seen)
	l.Owner = owner
	if err != nil {
		err = fmt.Errorf("enter lane: %w", err)
	}
	return l, holder == owner, err
}

// Look takes the promises that are due and notes which wake-ups that answers. Error: ErrLost when somebody else took the lane.
func (l *Lane) Look(ctx context.Context, tx *tenants.Tx, now time.Time, lease time.Duration, limit int) ([]Claim, error) {
	var held []struct {
		Wake int64 `db:"wake"`
	}
	tenants.Ask(tx, &held, `SELECT wake FROM lanes WHERE lease_owner = $1`, l.Owner)
	claims, err := Take(ctx, tx, Push, 0, l.Owner, now, lease, limit)
	if err != nil {
		return nil, err
	}
	if len(held) == 0 {
		return nil, ErrLost
	}
	l.seen = held[0].Wake
	return claims, nil
}

// Keep renews the lease. Error: ErrLost when somebody else took the lane.
func (l *Lane) Keep(ctx context.Context, tx *tenants.Tx, until time.Time) error {
	tag, err := tx.Exec(ctx, `UPDATE lanes SET lease_until = $2 WHERE lease_owner = $1`, l.Owner, until)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrLost
	}
	return err
}

// Quit lets go of the lane, unless a wake-up came since Look; then ok is false and the holder must look again.
// force lets go in any case.
func (l *Lane) Quit(ctx context.Context, tx *tenants.Tx, force bool) (ok bool, err error) {
	tag, err := tx.Exec(ctx, `UPDATE lanes SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = $1 AND (wake = $2 OR $3)`, l.Owner, l.seen, force)
	if err != nil || tag.RowsAffected() == 1 {
		return true, err
	}
	return false, nil
}

// Pause notes for people why nothing is written to the CRM now; a call that succeeds ends it.
func Pause(tx *tenants.Tx, until time.Time, why string) {
	tx.Later(`UPDATE lanes SET paused_until = $1, paused_why = $2`, until, why)
}

// Call is one look or one write at the CRM, for people to see.
type Call struct {
	At      time.Time `json:"at"`
	What    string    `json:"what"` // write, read
	Deals   int       `json:"deals"`
	Outcome string    `json:"outcome"` // OK, or the code of a failure
	Millis  int64     `json:"ms"`
	Through bool      `json:"-"` // the CRM did something for us: nothing holds the lane up
}

// OK is the outcome of a call that did all it should.
const OK = "ok"

// Called notes a call.
func Called(tx *tenants.Tx, c Call) {
	tx.Later(`UPDATE lanes SET last_call_at = $1, calls = jsonb_path_query_array($2::jsonb || calls, '$[0 to 19]'),
		paused_until = CASE WHEN $3 THEN NULL ELSE paused_until END, paused_why = CASE WHEN $3 THEN '' ELSE paused_why END`,
		c.At, []Call{c}, c.Through)
}

// LaneState is what people see of a lane.
type LaneState struct {
	PausedUntil *time.Time `db:"paused_until"`
	PausedWhy   string     `db:"paused_why"`
	LastCallAt  *time.Time `db:"last_call_at"`
	Calls       []Call     `db:"calls"` // newest first
}

// LaneOf reads the lane of the transaction's tenant; zero when it was never used.
func LaneOf(ctx context.Context, tx *tenants.Tx) (LaneState, error) {
	s, err := tenants.Row[LaneState](ctx, tx, `SELECT paused_until, paused_why, last_call_at, calls FROM lanes`)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return s, err
}
