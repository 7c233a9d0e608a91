package tenants

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"sync"
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
	app     *pgxpool.Pool
	relay   *pgxpool.Pool
	sealer  *Sealer
	systems sync.Map // by ID: which CRM it has
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
	conn      *pgxpool.Conn
	tenant    ID
	sealer    *Sealer
	queue     *pgx.Batch // begins with BEGIN
	reminders []Reminder
	begun     bool // something was sent
	judged    bool // a queued statement may be refused by what it changes
}

// Tenant is whose transaction this is.
func (tx *Tx) Tenant() ID { return tx.tenant }

// Later queues a statement whose result nobody waits for. It is carried out before the next statement, or before commit; its
// error is the error of what sends it.
func (tx *Tx) Later(sql string, args ...any) { tx.queue.Queue(sql, args...) }

// Must is Later for a statement that has to change a row: if it changes none, otherwise is the error.
func (tx *Tx) Must(otherwise error, sql string, args ...any) {
	tx.judged = true
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
	tx.queue, tx.begun, tx.judged = &pgx.Batch{}, true, false
	return tx.conn.SendBatch(ctx, queue).Close()
}

// Exec runs a statement.
func (tx *Tx) Exec(ctx context.Context, sql string, args ...any) (tag pgconn.CommandTag, err error) {
	if tx.queue.Len() == 0 {
		return tx.conn.Exec(ctx, sql, args...)
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
	return tx.conn.Query(ctx, sql, args...)
}

// QueryRow runs a query of one row when the row is scanned.
func (tx *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if tx.queue.Len() == 0 {
		return tx.conn.QueryRow(ctx, sql, args...)
	}
	return queuedRow(func(into ...any) error {
		tx.queue.Queue(sql, args...).QueryRow(func(row pgx.Row) error { return row.Scan(into...) })
		return tx.Flush(ctx)
	})
}

type queuedRow func(into ...any) error

// Scan runs the query.
func (scan queuedRow) Scan(into ...any) error { return scan(into...) }

// Remind notes a promise whose reminder goes out after commit.
func (tx *Tx) Remind(r Reminder) { tx.reminders = append(tx.reminders, r) }

// Rows collects a query's rows by column name into T.
func Rows[T any](ctx context.Context, tx *Tx, sql string, args ...any) ([]T, error) {
	if tx.queue.Len() > 0 {
		var all []T
		Ask(tx, &all, sql, args...)
		return all, tx.Flush(ctx)
	}
	rows, err := tx.conn.Query(ctx, sql, args...)
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

// In runs fn in a transaction bound to the tenant and commits when fn returns nil. fn may run again after a deadlock, a
// serialization failure or a lost connection, so it must not call the network. Promises made in it are woken after commit.
func (db *DB) In(ctx context.Context, id ID, fn func(ctx context.Context, tx *Tx) error) error {
	return db.in(ctx, id, false, fn)
}

// Lightly is In for a transaction that commits without waiting for the disk: for claims and signs of life only, which nobody
// misses after a crash of the database. Their holder meets a claim that is not its own, and records nothing.
func (db *DB) Lightly(ctx context.Context, id ID, fn func(ctx context.Context, tx *Tx) error) error {
	return db.in(ctx, id, true, fn)
}

func (db *DB) in(ctx context.Context, id ID, lightly bool, fn func(ctx context.Context, tx *Tx) error) error {
	if id.Zero() {
		return ErrNobody
	}
	var reminders []Reminder
	for try := 1; ; try++ {
		err := db.alive(ctx, func() (certain bool, err error) {
			reminders, certain, err = db.once(ctx, id, lightly, fn)
			return certain, err
		})
		if err == nil {
			break
		}
		if try == 4 || !again(err) {
			return err
		}
	}
	if db.Wake != nil && len(reminders) > 0 {
		db.Wake(reminders)
	}
	return nil
}

// once runs fn in a transaction. certain is false when nobody knows whether it was committed.
func (db *DB) once(ctx context.Context, id ID, lightly bool, fn func(context.Context, *Tx) error) (reminders []Reminder, certain bool, err error) {
	conn, err := db.app.Acquire(ctx)
	if err != nil {
		return nil, true, err
	}
	tx := &Tx{conn: conn, tenant: id, sealer: db.sealer, queue: &pgx.Batch{}}
	defer tx.end(ctx)
	tx.Later(`BEGIN`)
	tx.Later(`SELECT set_config('app.tenant_id', $1, true)`, id.String())
	if lightly {
		tx.Later(`SET LOCAL synchronous_commit TO off`)
	}
	opening := tx.queue.Len()
	if err := fn(ctx, tx); err != nil {
		return nil, true, err
	}
	if !tx.begun && tx.queue.Len() == opening {
		return tx.reminders, true, nil // it asked for nothing
	}
	if tx.judged { // its verdict comes before the commit; whatever else fails stops what follows it by itself
		if err := tx.Flush(ctx); err != nil {
			return nil, true, err
		}
	}
	tx.queue.Queue(`COMMIT`).Exec(func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" {
			return pgx.ErrTxCommitRollback
		}
		return nil
	})
	err = tx.Flush(ctx) // may add reminders
	return tx.reminders, false, err
}

// end rolls back what was not committed and gives the connection back; the pool closes one that is still in a transaction.
func (tx *Tx) end(ctx context.Context) {
	if conn := tx.conn.Conn().PgConn(); !conn.IsClosed() && conn.TxStatus() != 'I' {
		_, _ = tx.conn.Exec(ctx, `ROLLBACK`)
	}
	tx.conn.Release()
}

// alive tries until a connection answers: those that a restart of the database cut stay in the pool until somebody uses them.
// What cannot be connected anew is an error at once, and so is what may have been done.
func (db *DB) alive(ctx context.Context, try func() (certain bool, err error)) error {
	for left := db.app.Config().MaxConns; ; left-- {
		certain, err := try()
		if err == nil || !certain || left == 0 || ctx.Err() != nil || !cut(err) {
			return err
		}
	}
}

// cut says whether err is a connection that was there and is lost.
func cut(err error) bool {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return answer.Code == "57P01" || answer.Code == "57P02" // the server was told to end
	}
	var refused *pgconn.ConnectError
	var broken net.Error
	return !errors.As(err, &refused) && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &broken) || pgconn.SafeToRetry(err))
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
// everything else, each tenant's first before anybody's second, and what was reminded of longest ago before what waits for a
// place though it was reminded of lately; the order of the inner look keeps it to what is due, also before
// the database has counted its rows.
var dueSQL = `WITH RECURSIVE ` + firstOfEach("push") + `, ` + firstOfEach("review") + `, other AS MATERIALIZED (
		SELECT tenant_id, id, kind, due_at, relayed_at FROM outbox
		WHERE kind NOT IN ('push', 'review') AND done_at IS NULL AND dead_at IS NULL AND due_at <= $1 AND (claimed_until IS NULL OR claimed_until < $1)
			AND (relayed_at IS NULL OR relayed_at < $2)
		ORDER BY due_at LIMIT 10000),
	due AS (SELECT *, 1 AS n FROM push UNION ALL SELECT *, 1 FROM review UNION ALL
		SELECT tenant_id, id, due_at, relayed_at, row_number() OVER (PARTITION BY tenant_id, kind ORDER BY due_at, id) FROM other)
	SELECT tenant_id::text, id FROM due WHERE relayed_at IS NULL OR relayed_at < $2 ORDER BY n, relayed_at NULLS FIRST, due_at LIMIT $3`

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
