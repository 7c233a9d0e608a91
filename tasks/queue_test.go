package tasks_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tasks"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/dealpay/dealpay/tenants/tenantstest"
)

// More accounts of one CRM hang than a worker has places, with their lanes and with their set-up. What is owed changes on time,
// and other CRMs are told and set up.
func TestACRMThatHangsDelaysNobodyElse(t *testing.T) {
	const places = 4
	h := newHouse(t)
	queue, err := tasks.NewQueue(tenantstest.Redis(t), h.now, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	queue.System = h.f.DB.SystemOf
	h.held = make(chan struct{})
	for i := range 2 * places {
		id := tenantstest.Tenant(t, h.f, "kommo", fmt.Sprint("hangs ", i))
		require.NoError(t, h.payments.Connect(t.Context(), id, admin, "till", nil, true))
		h.payOf(id, "hangs")
		require.NoError(t, h.f.DB.In(t.Context(), id, func(ctx context.Context, tx *tenants.Tx) error {
			return outbox.Make(ctx, tx, outbox.Setup, "account", h.now())
		}))
	}
	working, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- queue.Serve(working, h.worker(), places) }()
	until := func(what string, done func() bool) {
		t.Helper()
		require.Eventually(t, func() bool {
			h.later(20 * time.Millisecond)
			return done()
		}, 10*time.Second, 20*time.Millisecond, what)
	}
	until("every place for lanes and for chores is taken", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.hanging >= places+1
	})
	in := h.owe("2")
	h.later(73 * time.Hour)
	until("the link expires", func() (expired bool) {
		h.in(func(ctx context.Context, tx *tenants.Tx) error {
			return tx.QueryRow(ctx, `SELECT status = 'expired' FROM invoices WHERE id = $1`, in.ID).Scan(&expired)
		})
		return expired
	})
	h.pay("1")
	until("the other CRM is told", func() bool { return h.book.status("1") == crm.Paid })
	setups := func() (open int) {
		h.in(func(ctx context.Context, tx *tenants.Tx) error {
			return tx.QueryRow(ctx, `SELECT count(*) FROM outbox WHERE kind = 'setup' AND done_at IS NULL`).Scan(&open)
		})
		return open
	}
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		return outbox.Make(ctx, tx, outbox.Setup, "account", h.now())
	})
	until("the other CRM is set up", func() bool { return setups() == 0 })
	require.Equal(t, crm.Status(""), h.book.status("hangs"))
	close(h.held)
	until("the CRM that hung is told", func() bool { return h.book.status("hangs") == crm.Paid })
	stop()
	require.NoError(t, <-served)
	require.NoError(t, queue.Close())
}

// More accounts wait for a place than the sweeper reminds of at once, again and again. Who became due later has its turn.
func TestWhatWaitsForAPlaceKeepsNobodysReminder(t *testing.T) {
	h := newHouse(t)
	owner, err := pgx.Connect(t.Context(), h.f.URL)
	require.NoError(t, err)
	defer func() { _ = owner.Close(context.Background()) }()
	for _, sql := range []string{`ALTER TABLE tenants NO FORCE ROW LEVEL SECURITY`, `ALTER TABLE outbox NO FORCE ROW LEVEL SECURITY`,
		`INSERT INTO tenants (tenant_id, crm, account_key, domain) SELECT gen_random_uuid(), 'bitrix24', 'waits' || n, 'waits' || n || '.bitrix24.com' FROM generate_series(1, 60) n`,
		`INSERT INTO outbox (tenant_id, kind, key, due_at) SELECT tenant_id, 'push', '1', '2020-01-01' FROM tenants WHERE account_key LIKE 'waits%'`,
		`ALTER TABLE tenants FORCE ROW LEVEL SECURITY`, `ALTER TABLE outbox FORCE ROW LEVEL SECURITY`} {
		_, err := owner.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	remind := func() (checks, pushes int) {
		h.later(500 * time.Millisecond)
		due, err := h.f.DB.Due(t.Context(), h.now(), 900*time.Millisecond, 25)
		require.NoError(t, err)
		for _, r := range due {
			if r.Kind == string(outbox.Check) {
				checks++
			} else {
				pushes++
			}
		}
		return checks, pushes
	}
	for range 4 {
		_, pushes := remind()
		require.Positive(t, pushes)
	}
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		return outbox.Make(ctx, tx, outbox.Check, tenants.NewUUID().String(), h.now())
	})
	checks := 0
	for range 4 {
		now, _ := remind()
		checks += now
	}
	require.Positive(t, checks)
}
