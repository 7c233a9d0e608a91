package tenants

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	app, err := pool(ctx, url, "dealpay_app", conns, nil)
	if err != nil {
		return nil, err
	}
	// The relay asks about a table that may grow a thousandfold before the database has counted its rows: a plan is good for once
	// only, and follows the indexes that were made for it.
	relay, err := pool(ctx, url, "dealpay_relay", 2, map[string]string{"plan_cache_mode": "force_custom_plan", "enable_seqscan": "off", "enable_sort": "off",
		"enable_incremental_sort": "off"})
	if err != nil {
		app.Close()
		return nil, err
	}
	return &DB{app: app, relay: relay, sealer: sealer}, nil
}

// pingAfter is how long a connection may rest before it is asked whether it still lives.
const pingAfter = 15 * time.Second

func pool(ctx context.Context, url, role string, conns int, settings map[string]string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	config.MaxConns = int32(conns)
	config.ConnConfig.RuntimeParams["role"] = role
	config.ConnConfig.RuntimeParams["application_name"] = role
	config.ConnConfig.RuntimeParams["statement_timeout"] = "30000"
	config.ConnConfig.RuntimeParams["jit"] = "off" // compiling takes longer than any of our statements
	maps.Copy(config.ConnConfig.RuntimeParams, settings)
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	config.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool { return p.IdleDuration > pingAfter }
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

// Tx is one transaction of one tenant. Only DB.In and DB.Lightly make it. A round trip to the database costs more than most
// statements: what nobody waits for is queued, and leaves together with the next statement that somebody waits for.
type Tx struct {
	tx        pgx.Tx
	tenant    ID
	sealer    *Sealer
	queue     *pgx.Batch
	reminders []Reminder
}

// Tenant is whose transaction this is.
func (tx *Tx) Tenant() ID { return tx.tenant }

// Later queues a statement whose result nobody waits for. It is carried out before the next statement, or before commit; its
// error is the error of what sends it.
func (tx *Tx) Later(sql string, args ...any) { tx.queue.Queue(sql, args...) }

// Must is Later for a statement that has to change a row: if it changes none, otherwise is the error.
func (tx *Tx) Must(otherwise error, sql string, args ...any) {
	tx.queue.Queue(sql, args...).Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() == 0 {
			return otherwise
		}
		return nil
	})
}

// Ask is Later for a query: its rows are in into, by column name, after the next statement or Flush.
func Ask[T any](tx *Tx, into *[]T, sql string, args ...any) {
	Then(tx, func(rows []T) { *into = rows }, sql, args...)
}

// Then is Ask that hands the rows over.
func Then[T any](tx *Tx, take func([]T), sql string, args ...any) {
	tx.queue.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		all, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
		if err == nil {
			take(all)
		}
		return err
	})
}

// Flush carries out what is queued, in one round trip.
func (tx *Tx) Flush(ctx context.Context) error {
	if tx.queue.Len() == 0 {
		return nil
	}
	queue := tx.queue
	tx.queue = &pgx.Batch{}
	return tx.tx.SendBatch(ctx, queue).Close()
}

// Exec runs a statement.
func (tx *Tx) Exec(ctx context.Context, sql string, args ...any) (tag pgconn.CommandTag, err error) {
	if tx.queue.Len() == 0 {
		return tx.tx.Exec(ctx, sql, args...)
	}
	tx.queue.Queue(sql, args...).Exec(func(done pgconn.CommandTag) error {
		tag = done
		return nil
	})
	return tag, tx.Flush(ctx)
}

// Query runs a query; read it with pgx.CollectRows.
func (tx *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := tx.Flush(ctx); err != nil {
		return nil, err
	}
	return tx.tx.Query(ctx, sql, args...)
}

// QueryRow runs a query of one row.
func (tx *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if err := tx.Flush(ctx); err != nil {
		return noRow{err}
	}
	return tx.tx.QueryRow(ctx, sql, args...)
}

// noRow is the row of a query that was not run.
type noRow struct{ err error }

func (r noRow) Scan(...any) error { return r.err }

// Remind notes a promise whose reminder goes out after commit.
func (tx *Tx) Remind(r Reminder) { tx.reminders = append(tx.reminders, r) }

// Rows collects a query's rows by column name into T.
func Rows[T any](ctx context.Context, tx *Tx, sql string, args ...any) ([]T, error) {
	if tx.queue.Len() > 0 {
		var all []T
		Ask(tx, &all, sql, args...)
		return all, tx.Flush(ctx)
	}
	rows, err := tx.tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[T])
}

// Row is Rows for exactly one row; without one it returns pgx.ErrNoRows.
func Row[T any](ctx context.Context, tx *Tx, sql string, args ...any) (T, error) {
	all, err := Rows[T](ctx, tx, sql, args...)
	if err == nil {
		return One(all)
	}
	var none T
	return none, err
}

// One is the only one of these rows; without one it returns pgx.ErrNoRows.
func One[T any](all []T) (T, error) {
	switch len(all) {
	case 1:
		return all[0], nil
	case 0:
		var none T
		return none, pgx.ErrNoRows
	}
	var none T
	return none, pgx.ErrTooManyRows
}

// ErrNobody is returned for a transaction without a tenant.
var ErrNobody = errors.New("tenants: no tenant")

// In runs fn in a transaction bound to the tenant and commits when fn returns nil. fn may run again after a deadlock or
// a serialization failure, so it must not call the network. Promises made in it are woken after commit.
func (db *DB) In(ctx context.Context, id ID, fn func(ctx context.Context, tx *Tx) error) error {
	return db.in(ctx, id, "", fn)
}

// Lightly is In for a transaction that commits without waiting for the disk: for claims and signs of life only, which nobody
// misses after a crash of the database. Their holder meets a claim that is not its own, and records nothing.
func (db *DB) Lightly(ctx context.Context, id ID, fn func(ctx context.Context, tx *Tx) error) error {
	return db.in(ctx, id, "; SET LOCAL synchronous_commit TO off", fn)
}

func (db *DB) in(ctx context.Context, id ID, also string, fn func(ctx context.Context, tx *Tx) error) error {
	if id.Zero() {
		return ErrNobody
	}
	for try := 1; ; try++ {
		reminders, err := db.once(ctx, id, also, fn)
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

func (db *DB) once(ctx context.Context, id ID, also string, fn func(context.Context, *Tx) error) ([]Reminder, error) {
	bound := pgx.TxOptions{BeginQuery: "BEGIN; SELECT set_config('app.tenant_id', '" + id.String() + "', true)" + also} // one round trip; an ID is a UUID
	var raw pgx.Tx
	err := db.begun(ctx, func() (err error) {
		raw, err = db.app.BeginTx(ctx, bound)
		return err
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = raw.Rollback(ctx) }() // nothing, once it is committed
	tx := &Tx{tx: raw, tenant: id, sealer: db.sealer, queue: &pgx.Batch{}}
	if err := fn(ctx, tx); err != nil {
		return nil, err
	}
	if err := tx.Flush(ctx); err != nil {
		return nil, err
	}
	return tx.reminders, raw.Commit(ctx)
}

// begun tries what reads or begins until a connection answers: those that a restart of the database cut stay in the pool until
// somebody uses them. What cannot be connected anew is an error at once.
func (db *DB) begun(ctx context.Context, try func() error) error {
	for left := db.app.Config().MaxConns; ; left-- {
		err := try()
		var refused *pgconn.ConnectError
		var answer *pgconn.PgError
		cut := err != nil && !errors.Is(err, pgx.ErrNoRows) && !errors.As(err, &refused) && (!errors.As(err, &answer) || answer.Severity == "FATAL")
		if !cut || ctx.Err() != nil || left == 0 {
			return err
		}
	}
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

// firstOfEach is the first promise of a kind that is due and unclaimed, of each tenant that has any: one index look for each of
// these tenants, however many promises they have.
func firstOfEach(kind string) string {
	next := `SELECT tenant_id, id, due_at, relayed_at FROM outbox WHERE kind = '` + kind + `' AND done_at IS NULL AND dead_at IS NULL AND due_at <= $1
		AND (claimed_until IS NULL OR claimed_until < $1) %s ORDER BY tenant_id, due_at LIMIT 1`
	return kind + ` AS ((` + fmt.Sprintf(next, "") + `) UNION ALL
		SELECT o.* FROM ` + kind + ` CROSS JOIN LATERAL (` + fmt.Sprintf(next, "AND tenant_id > "+kind+".tenant_id") + `) o)`
}

// dueSQL chooses what to remind of. Of pushes and reviews, of which one reminder answers all of a tenant's, it takes one; of
// everything else, each tenant's first before anybody's second; the order of the inner look keeps it to what is due, also before
// the database has counted its rows.
var dueSQL = `WITH RECURSIVE ` + firstOfEach("push") + `, ` + firstOfEach("review") + `, other AS MATERIALIZED (
		SELECT tenant_id, id, kind, due_at, relayed_at FROM outbox
		WHERE kind NOT IN ('push', 'review') AND done_at IS NULL AND dead_at IS NULL AND due_at <= $1 AND (claimed_until IS NULL OR claimed_until < $1)
			AND (relayed_at IS NULL OR relayed_at < $2)
		ORDER BY due_at LIMIT 10000),
	due AS (SELECT *, 1 AS n FROM push UNION ALL SELECT *, 1 FROM review UNION ALL
		SELECT tenant_id, id, due_at, relayed_at, row_number() OVER (PARTITION BY tenant_id, kind ORDER BY due_at, id) FROM other)
	SELECT tenant_id::text, id FROM due WHERE relayed_at IS NULL OR relayed_at < $2 ORDER BY n, due_at LIMIT $3`

// Due lists open promises that are due, unclaimed, and of which no reminder was sent since quiet; it notes that one
// is sent now. It is the relay's only look at the database. A tenant with a flood of work keeps nobody's reminder waiting.
func (db *DB) Due(ctx context.Context, now time.Time, quiet time.Duration, limit int) ([]Reminder, error) {
	rows, err := db.relay.Query(ctx, dueSQL, now, now.Add(-quiet), limit)
	if err != nil {
		return nil, err
	}
	owners, ids := []string{}, []int64{}
	var owner string
	var one int64
	if _, err := pgx.ForEachRow(rows, []any{&owner, &one}, func() error {
		owners, ids = append(owners, owner), append(ids, one)
		return nil
	}); err != nil || len(ids) == 0 {
		return nil, err
	}
	// Whoever holds a row works on it: it needs no reminder. One too many, for what was kept a moment ago, does no harm.
	rows, err = db.relay.Query(ctx, `
		UPDATE outbox SET relayed_at = $1
		WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM outbox JOIN unnest($2::uuid[], $3::bigint[]) AS chosen(tenant_id, id) USING (tenant_id, id)
			FOR UPDATE OF outbox SKIP LOCKED)
		RETURNING tenant_id::text, id, kind, due_at`, now, owners, ids)
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
