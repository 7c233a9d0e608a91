package tasks

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// near runs a lane in the worker that woke it: most pushes follow a check that this process has just made, and the way
// through Redis would be the longest part of what a person waits for. It has a few places only; what finds none, and what
// comes back at the end of its slice, queues in Redis with everybody else's.
type near struct {
	lane   func(context.Context, tenants.ID) error
	ctx    context.Context //nolint:containedctx // of the process: a waker's own ends with its work
	places chan struct{}
	busy   sync.WaitGroup
}

// take runs the lane if there is a place.
func (n *near) take(id tenants.ID, failed func(error)) bool {
	select {
	case n.places <- struct{}{}:
	default:
		return false
	}
	n.busy.Add(1)
	go func() {
		defer n.busy.Done()
		defer func() { <-n.places }()
		defer func() {
			if r := recover(); r != nil {
				failed(fmt.Errorf("lane panicked: %v", r))
			}
		}()
		if err := n.lane(n.ctx, id); err != nil && n.ctx.Err() == nil {
			failed(err)
		}
	}()
	return true
}

// Wake is Send for what was promised just now.
func (q *Queue) Wake(reminders []tenants.Reminder) {
	n := q.near.Load()
	if n == nil {
		q.Send(reminders)
		return
	}
	var rest []tenants.Reminder
	taken := map[tenants.ID]bool{}
	for _, r := range reminders {
		push := r.Kind == string(outbox.Push) && !r.Due.After(q.now())
		if push && !taken[r.Tenant] {
			taken[r.Tenant] = n.take(r.Tenant, func(err error) {
				q.log.Error("lane not drained", "tenant", r.Tenant, "err", err)
			})
		}
		if !push || !taken[r.Tenant] {
			rest = append(rest, r)
		}
	}
	if len(rest) > 0 {
		q.Send(rest)
	}
}

// stay makes this process run lanes near by, until the returned function has waited for them.
func (q *Queue) stay(ctx context.Context, w *Worker, places int) (leave func()) {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	n := &near{lane: w.Lane, ctx: work, places: make(chan struct{}, places)}
	q.near.Store(n)
	return func() {
		q.near.Store(nil)
		defer stop()
		ended := make(chan struct{})
		go func() {
			n.busy.Wait()
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(shutdownTime):
			stop()
			q.log.Warn("lanes were cut off: they took too long")
		}
	}
}
