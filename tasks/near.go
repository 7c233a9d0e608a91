package tasks

import (
	"context"
	"sync"
	"time"

	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// near keeps promises in the process that made them: the way through Redis would be the longest part of what a person waits
// for, from a notice to the check it asks for and from there to the CRM. It has a few places only; what finds none, and what
// comes back at the end of its slice, queues in Redis with everybody else's.
type near struct {
	run    func(context.Context, tenants.Reminder) error
	ctx    context.Context //nolint:containedctx // of the process: a waker's own ends with its work
	checks chan struct{}   // a place each
	lanes  chan struct{}
	busy   sync.WaitGroup
}

func (n *near) places(kind outbox.Kind) chan struct{} {
	if kind == outbox.Push {
		return n.lanes
	}
	return n.checks
}

// take keeps the promise if there is a place.
func (n *near) take(r tenants.Reminder, failed func(error)) bool {
	places := n.places(outbox.Kind(r.Kind))
	select {
	case places <- struct{}{}:
	default:
		return false
	}
	n.busy.Add(1)
	go func() {
		defer n.busy.Done()
		defer func() { <-places }()
		if err := survive(func() error { return n.run(n.ctx, r) }); err != nil && n.ctx.Err() == nil {
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
	lanes := map[tenants.ID]bool{} // one wake-up does for all deals of a lane
	for _, r := range reminders {
		kind, due := outbox.Kind(r.Kind), !r.Due.After(q.now())
		taken := kind == outbox.Push && lanes[r.Tenant]
		if due && !taken && (kind == outbox.Push || kind == outbox.Check) {
			taken = n.take(r, func(err error) {
				q.log.Error("promise not kept near by", "tenant", r.Tenant, "kind", r.Kind, "err", err)
			})
			lanes[r.Tenant] = lanes[r.Tenant] || taken && kind == outbox.Push
		}
		if !taken {
			rest = append(rest, r)
		}
	}
	if len(rest) > 0 {
		q.Send(rest)
	}
}

// Stay makes this process keep up to places checks near by at once, and as many lanes, until the returned function has waited
// for them.
func (q *Queue) Stay(ctx context.Context, w *Worker, places int) (leave func()) {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	n := &near{ctx: work, checks: make(chan struct{}, places), lanes: make(chan struct{}, places), run: func(ctx context.Context, r tenants.Reminder) error {
		if outbox.Kind(r.Kind) == outbox.Push {
			return w.Lane(ctx, r.Tenant)
		}
		return w.Run(ctx, r.Tenant, outbox.Kind(r.Kind), r.ID)
	}}
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
			q.log.Warn("promises were cut off: they took too long")
		}
	}
}
