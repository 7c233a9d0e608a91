package tasks_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/dealpay/dealpay/tenants/tenantstest"
)

// crowded are the tables in which the idle tenants have rows.
var crowded = []string{"tenants", "outbox", "lanes", "deal_sync", "effects"}

// What one event costs the database does not grow with the tenants that are idle. PostgreSQL itself counts the rows that
// are read on the way, so that a query without its index is noticed whoever writes it.
func TestAnEventReadsNoMoreAmongTenThousandIdleTenants(t *testing.T) {
	h := newHouse(t)
	owner, err := pgx.Connect(t.Context(), h.f.URL)
	require.NoError(t, err)
	defer func() { _ = owner.Close(context.WithoutCancel(t.Context())) }()
	h.leave(owner, h.f.DB) // what its sessions read is counted when they end
	few := h.readsOf(owner, "few", 10)
	force := func(word string) { // policies hold for the owner, too
		for _, table := range crowded {
			_, err := owner.Exec(t.Context(), "ALTER TABLE "+table+" "+word+" ROW LEVEL SECURITY")
			require.NoError(t, err)
		}
	}
	force("NO FORCE")
	for _, sql := range []string{
		`INSERT INTO tenants (tenant_id, crm, account_key, domain) SELECT gen_random_uuid(), 'bitrix24', 'idle' || n, 'idle' || n || '.bitrix24.com' FROM generate_series(1, 10000) n`,
		`INSERT INTO outbox (tenant_id, kind, key, due_at) SELECT tenant_id, k, 'later', now() + interval '1 day' FROM tenants, unnest(ARRAY['setup', 'check', 'push']) k WHERE account_key LIKE 'idle%'`,
		`INSERT INTO lanes (tenant_id, wake) SELECT tenant_id, 1 FROM tenants WHERE account_key LIKE 'idle%'`,
		`INSERT INTO deal_sync (tenant_id, deal_id, state) SELECT tenant_id, n::text, 'written' FROM tenants, generate_series(1, 3) n WHERE account_key LIKE 'idle%'`,
		`INSERT INTO effects (tenant_id, key, deal_id, kind, reference, body, status, sent_at) SELECT tenant_id, 'note:' || n, n::text, 'note', 'DPN' || n, '{}', 'sent', now()
			FROM tenants, generate_series(1, 3) n WHERE account_key LIKE 'idle%'`,
		`ANALYZE`,
	} {
		_, err := owner.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	force("FORCE")
	many := h.readsOf(owner, "many", 10)
	t.Logf("rows read for an event: %.1f among few, %.1f among 10,000", few, many)
	require.LessOrEqual(t, many, 1.2*few+10)
}

// readsOf returns how many rows are read for one event, from its payment to its card, the sweeper's look included.
func (h *house) readsOf(owner *pgx.Conn, run string, events int) float64 {
	h.Helper()
	db, err := tenants.Open(h.Context(), h.f.URL, 2, h.f.Sealer)
	require.NoError(h, err)
	own := &house{T: h.T, f: &tenantstest.Fixture{DB: db}, id: h.id, book: newBook(), till: h.till}
	own.clock.Store(h.clock.Load())
	own.payments = &payments.Service{DB: db, Providers: h.payments.Providers, PublicURL: h.payments.PublicURL, Now: own.now, Log: slog.New(slog.DiscardHandler)}
	own.serial.Store(h.serial.Add(1000))
	return h.reads(owner, db, func() {
		for i := range events {
			deal := fmt.Sprint(run, i)
			own.pay(deal)
			due, err := db.Due(h.Context(), own.now(), 0, 100)
			require.NoError(h, err)
			require.NotEmpty(h, due)
			own.lane()
			own.later(11 * time.Second)
			own.changed(deal)
			own.reviews()
			require.Zero(h, own.reviewing())
		}
	}) / float64(events)
}

// reads is how many rows fn reads through db, which is closed after it: what its sessions read is counted when they end.
func (h *house) reads(owner *pgx.Conn, db *tenants.DB, fn func()) float64 {
	h.Helper()
	before := h.rows(owner)
	fn()
	h.leave(owner, db)
	return float64(h.rows(owner) - before)
}

// leave ends all sessions but the owner's.
func (h *house) leave(owner *pgx.Conn, db *tenants.DB) {
	h.Helper()
	db.Close()
	for left := 1; left > 0; time.Sleep(10 * time.Millisecond) {
		require.NoError(h, owner.QueryRow(h.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
			AND backend_type = 'client backend'`).Scan(&left))
	}
}

// The sweeper's look reads as much when one account has ten thousand changes waiting, also before the database knows it.
func TestTheSweepersLookDoesNotPassOverAFlood(t *testing.T) {
	h := newHouse(t)
	owner, err := pgx.Connect(t.Context(), h.f.URL)
	require.NoError(t, err)
	defer func() { _ = owner.Close(context.WithoutCancel(t.Context())) }()
	small := h.tenant("small")
	for _, kind := range []outbox.Kind{outbox.Push, outbox.Review} {
		h.in(func(_ context.Context, tx *tenants.Tx) error {
			outbox.Promise(tx, kind, h.now().Add(-time.Minute), deals(10_000)...)
			return nil
		})
	}
	require.NoError(t, h.f.DB.In(t.Context(), small, func(_ context.Context, tx *tenants.Tx) error {
		outbox.Promise(tx, outbox.Push, h.now().Add(-time.Second), "1")
		outbox.Promise(tx, outbox.Expire, h.now().Add(-time.Second), tenants.NewUUID().String())
		return nil
	}))
	h.leave(owner, h.f.DB)
	db, err := tenants.Open(t.Context(), h.f.URL, 2, h.f.Sealer)
	require.NoError(t, err)
	var due []tenants.Reminder
	read := h.reads(owner, db, func() { due, err = db.Due(t.Context(), h.now(), time.Second, 100) })
	require.NoError(t, err)
	var whose []string
	for _, d := range due {
		whose = append(whose, fmt.Sprint(d.Tenant == small, " ", d.Kind))
	}
	require.ElementsMatch(t, []string{"false push", "false review", "true push", "true expire"}, whose)
	t.Logf("%.0f rows read", read)
	require.Less(t, read, 100.0)
}

// rows is how many rows of the crowded tables were ever read. A session tells what it read once a second at most, the owner's
// too, which read much to crowd the tables: it has to tell that first.
func (h *house) rows(owner *pgx.Conn) (n int) {
	h.Helper()
	_, err := owner.Exec(h.Context(), `SELECT pg_stat_force_next_flush()`)
	require.NoError(h, err)
	require.NoError(h, owner.QueryRow(h.Context(), `SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables WHERE relname = ANY($1)`, crowded).Scan(&n))
	return n
}
