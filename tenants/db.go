package tenants

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Reminder says that a promise of a tenant is due. It is sent after commit and may be lost.
type Reminder struct {
	Tenant ID
	ID     int64
	Kind   string
	Due    time.Time
}

// DB is the database as the program sees it: one pool as the app role, which owns nothing and sees one tenant at a
// time, and a small one as the relay role, which sees only when promises are due.
type DB struct {
	app    *pgxpool.Pool
	relay  *pgxpool.Pool
	sealer *Sealer
	// Wake is called after commit with each promise made in the transaction; nil loses them, and the sweeper finds them.
	Wake func([]Reminder)
}

// Open connects to the database at url with the roles that the migrations made. conns bounds the app's pool.
func Open(ctx context.Context, url string, conns int, sealer *Sealer) (*DB, error) {
	app, err := pool(ctx, url, "dealpay_app", conns)
	if err != nil {
		return nil, err
	}
	relay, err := pool(ctx, url, "dealpay_relay", 2)
	if err != nil {
		app.Close()
		return nil, err
	}
	return &DB{app: app, relay: relay, sealer: sealer}, nil
}

func pool(ctx context.Context, url, role string, conns int) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	config.MaxConns = int32(conns)
	config.ConnConfig.RuntimeParams["role"] = role
	config.ConnConfig.RuntimeParams["application_name"] = role
	config.ConnConfig.RuntimeParams["statement_timeout"] = "30000"
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	p, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL as %s: %w", role, err)
	}
	return p, nil
}

// Close ends all connections.
func (db *DB) Close() {
	db.app.Close()
	db.relay.Close()
}

// Ping says whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.app.Ping(ctx) }

// Sealer returns what seals the tenants' secrets.
func (db *DB) Sealer() *Sealer { return db.sealer }

// Tx is one transaction of one tenant. Only DB.In makes it.
type Tx struct {
	tx        pgx.Tx
	tenant    ID
	sealer    *Sealer
	reminders []Reminder
}

// Tenant is whose transaction this is.
func (tx *Tx) Tenant() ID { return tx.tenant }

// Lightly lets the transaction commit without waiting for the disk: for claims and signs of life only, which nobody misses
// after a crash of the database. Their holder meets a claim that is not its own, and records nothing.
func (tx *Tx) Lightly(ctx context.Context) error {
	_, err := tx.Exec(ctx, `SET LOCAL synchronous_commit TO off`)
	return err
}

// Exec runs a statement.
func (tx *Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return tx.tx.Exec(ctx, sql, args...)
}

// Query runs a query; read it with pgx.CollectRows.
func (tx *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return tx.tx.Query(ctx, sql, args...)
}

// QueryRow runs a query of one row.
func (tx *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return tx.tx.QueryRow(ctx, sql, args...)
}

// SendBatch sends several statements at once.
func (tx *Tx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	return tx.tx.SendBatch(ctx, b)
}

// Remind notes a promise whose reminder goes out after commit.
func (tx *Tx) Remind(r Reminder) { tx.reminders = append(tx.reminders, r) }

// Rows collects a query's rows by column name into T.
func Rows[T any](ctx context.Context, tx *Tx, sql string, args ...any) ([]T, error) {
	rows, err := tx.tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[T])
}

// Row is Rows for exactly one row; without one it returns pgx.ErrNoRows.
func Row[T any](ctx context.Context, tx *Tx, sql string, args ...any) (T, error) {
	rows, err := tx.tx.Query(ctx, sql, args...)
	if err != nil {
		var none T
		return none, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T])
}

// ErrNobody is returned for a transaction without a tenant.
var ErrNobody = errors.New("tenants: no tenant")

// In runs fn in a transaction bound to the tenant and commits when fn returns nil. fn may run again after a deadlock or
// a serialization failure, so it must not call the network. Promises made in it are woken after commit.
func (db *DB) In(ctx context.Context, id ID, fn func(ctx context.Context, tx *Tx) error) error {
	if id.Zero() {
		return ErrNobody
	}
	for try := 1; ; try++ {
		reminders, err := db.once(ctx, id, fn)
		if err == nil {
			if db.Wake != nil && len(reminders) > 0 {
				db.Wake(reminders)
			}
			return nil
		}
		if try == 4 || !again(err) {
			return err
		}
	}
}

func (db *DB) once(ctx context.Context, id ID, fn func(context.Context, *Tx) error) ([]Reminder, error) {
	var reminders []Reminder
	bound := pgx.TxOptions{BeginQuery: "BEGIN; SELECT set_config('app.tenant_id', '" + id.String() + "', true)"} // one round trip; an ID is a UUID
	err := pgx.BeginTxFunc(ctx, db.app, bound, func(raw pgx.Tx) error {
		tx := &Tx{tx: raw, tenant: id, sealer: db.sealer}
		err := fn(ctx, tx)
		reminders = tx.reminders
		return err
	})
	return reminders, err
}

func again(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// Conflict says whether err is the violation of this unique index or constraint.
func Conflict(err error, constraint string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.ConstraintName == constraint
}

// Due lists open promises that are due, unclaimed, and of which no reminder was sent since quiet; it notes that one
// is sent now. It is the relay's only look at the database. Of the pushes to one CRM account it lists one, because one
// reminder wakes the lane; of everything else, each tenant's first before anybody's second, so that a tenant with a flood
// of work keeps nobody's reminder waiting.
func (db *DB) Due(ctx context.Context, now time.Time, quiet time.Duration, limit int) ([]Reminder, error) {
	rows, err := db.relay.Query(ctx, `
		WITH due AS (
			SELECT tenant_id, id, kind, due_at, relayed_at, row_number() OVER (PARTITION BY tenant_id, kind ORDER BY due_at, id) AS n
			FROM outbox
			WHERE done_at IS NULL AND dead_at IS NULL AND due_at <= $1 AND (claimed_until IS NULL OR claimed_until < $1)),
		chosen AS (
			SELECT tenant_id, id FROM due
			WHERE (kind <> 'push' OR n = 1) AND (relayed_at IS NULL OR relayed_at < $2)
			ORDER BY n, due_at LIMIT $3)
		UPDATE outbox SET relayed_at = $1
		WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM outbox JOIN chosen USING (tenant_id, id) FOR UPDATE OF outbox SKIP LOCKED)
		RETURNING tenant_id::text, id, kind, due_at`, now, now.Add(-quiet), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Reminder, error) {
		var r Reminder
		var tenant string
		if err := row.Scan(&tenant, &r.ID, &r.Kind, &r.Due); err != nil {
			return r, err
		}
		var err error
		r.Tenant, err = Restore(tenant)
		return r, err
	})
}
