package tasks_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tasks"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/dealpay/dealpay/tenants/tenantstest"
)

// More accounts hang than a worker has places, with their lanes and with their set-up; what is owed changes on time.
func TestCRMsThatHangKeepNobodyFromMoney(t *testing.T) {
	const places = 4
	h := newHouse(t)
	queue, err := tasks.NewQueue(tenantstest.Redis(t), h.now, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	h.held = make(chan struct{})
	for i := range 2 * places {
		id := h.tenant(fmt.Sprint("hangs ", i))
		h.payOf(id, "1")
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
	require.Equal(t, crm.Status(""), h.book.status("1"))
	close(h.held)
	until("the CRM is told", func() bool { return h.book.status("1") == crm.Paid })
	stop()
	require.NoError(t, <-served)
	require.NoError(t, queue.Close())
}
