package tasks

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

func somebody(t *testing.T) tenants.ID {
	t.Helper()
	id, err := tenants.Restore("0196f0a0-0000-7000-8000-000000000001")
	require.NoError(t, err)
	return id
}

func TestAPromiseIsKeptNearByWhileThereIsAPlace(t *testing.T) {
	hold, ran := make(chan struct{}), atomic.Int64{}
	n := &near{ctx: t.Context(), checks: make(chan struct{}, 2), lanes: make(chan struct{}, 1), run: func(context.Context, tenants.Reminder) error {
		ran.Add(1)
		<-hold
		return nil
	}}
	fail := func(err error) { t.Error(err) }
	require.True(t, n.take(tenants.Reminder{Tenant: somebody(t)}, fail))
	require.True(t, n.take(tenants.Reminder{Tenant: somebody(t)}, fail))
	require.False(t, n.take(tenants.Reminder{Tenant: somebody(t)}, fail), "the queue has room for the rest")
	require.True(t, n.take(tenants.Reminder{Tenant: somebody(t), Kind: string(outbox.Push)}, fail), "lanes have places of their own")
	close(hold)
	n.busy.Wait()
	require.Equal(t, int64(3), ran.Load())
	require.True(t, n.take(tenants.Reminder{Tenant: somebody(t)}, fail))
	n.busy.Wait()
}

func TestAPromiseThatPanicsTakesNobodyWithIt(t *testing.T) {
	failed := make(chan error, 1)
	n := &near{ctx: t.Context(), checks: make(chan struct{}, 1), run: func(context.Context, tenants.Reminder) error { panic("broken") }}
	require.True(t, n.take(tenants.Reminder{Tenant: somebody(t)}, func(err error) { failed <- err }))
	require.ErrorContains(t, <-failed, "broken")
	n.busy.Wait()
	require.Empty(t, n.checks, "its place is free")
}

// Redis does not answer here: what is woken near by needs no Redis, and what is not due wakes nobody.
func TestAWokenLaneNeedsNoQueue(t *testing.T) {
	q, err := NewQueue("redis://127.0.0.1:1/0", time.Now, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer q.Close()
	ran := atomic.Int64{}
	n := &near{ctx: t.Context(), checks: make(chan struct{}, 8), lanes: make(chan struct{}, 8), run: func(context.Context, tenants.Reminder) error { ran.Add(1); return nil }}
	q.near.Store(n)
	push := tenants.Reminder{Tenant: somebody(t), Kind: string(outbox.Push), Due: time.Now().Add(-time.Second)}
	later := push
	later.Due = time.Now().Add(time.Hour)
	check := push
	check.Kind, check.ID = string(outbox.Check), 7
	other := push
	other.Kind = string(outbox.Email)
	q.Wake([]tenants.Reminder{push, push, later, other})
	n.busy.Wait()
	require.Equal(t, int64(1), ran.Load(), "one wake-up for all deals of a lane")
	q.Wake([]tenants.Reminder{check, check})
	n.busy.Wait()
	require.Equal(t, int64(3), ran.Load())
}
