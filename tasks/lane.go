package tasks

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

const (
	// slice is how long one turn of a lane may take before others have theirs.
	slice = 5 * time.Second
	// crowdedSlice is a turn's time while every place is taken.
	crowdedSlice = time.Second
	// flights is how many full batches of one lane are under way at once, so that neither our database nor a CRM that
	// answers slowly keeps a busy lane below the limit. It bounds a lane's memory together with batchDeals.
	flights = 2
	// turnTime bounds the work of one turn, waits at the limiter included.
	turnTime = 90 * time.Second
)

// turn is one worker's turn at a lane.
type turn struct {
	*Worker
	id      tenants.ID
	lane    *outbox.Lane
	account crm.Account
	tenant  tenants.Tenant
	began   time.Time

	books sync.Mutex // one batch at a time reads or records, so that a flood takes one place at the database

	mu    sync.Mutex
	stop  error         // why the CRM should not be called again in this turn
	calls []outbox.Call // not yet recorded
}

// Lane drains one CRM account: it takes the lane, writes batch after batch, and lets go when nothing is due and no
// wake-up came since it looked. At the end of its slice it goes to the back of the queue.
func (w *Worker) Lane(ctx context.Context, id tenants.ID) error {
	var lane outbox.Lane
	var mine bool
	err := w.DB.Lightly(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		var err error
		lane, mine, err = outbox.Enter(ctx, tx, tenants.NewUUID(), w.Now(), w.Now().Add(lease))
		return err
	})
	if err != nil || !mine {
		return err
	}
	w.fault("entered")
	work, stop := context.WithTimeout(ctx, turnTime)
	defer stop()
	work, alive := w.keepAlive(work, stop, id, lane.Keep)
	err = (&turn{Worker: w, id: id, lane: &lane}).run(work)
	alive()
	if errors.Is(err, outbox.ErrLost) {
		return nil // another worker has it, and everything we had not recorded
	}
	if err != nil { // let go in any case: the sweeper brings the lane back
		err = errors.Join(err, w.DB.In(context.WithoutCancel(ctx), id, func(ctx context.Context, tx *tenants.Tx) error {
			_, err := lane.Quit(ctx, tx, true)
			return err
		}))
	}
	return err
}

// run writes until nothing is due, the slice is over, or the CRM asks for a pause.
func (t *turn) run(ctx context.Context) error {
	var err error
	if t.account, t.tenant, err = t.Accounts.Account(ctx, t.id); err != nil {
		return t.sleep(ctx, err)
	}
	t.began = t.Now()
	for {
		found, err := t.drain(ctx)
		if err != nil {
			return err
		}
		if found && t.halted() == nil && !t.over() {
			continue
		}
		left, err := t.quit(ctx, found)
		if err != nil || left {
			return err
		}
	}
}

// drain writes what is due, a few full batches at once, and returns when all of them are recorded. found is false when
// nothing was due.
func (t *turn) drain(ctx context.Context) (found bool, err error) {
	group, work := errgroup.WithContext(ctx)
	group.SetLimit(flights)
	for {
		b, err := t.load(ctx)
		if err != nil || len(b.deals) == 0 {
			return found, errors.Join(err, group.Wait())
		}
		found = true
		if len(b.deals) < batchDeals { // the last one
			err := t.write(ctx, b)
			return found, errors.Join(err, group.Wait())
		}
		group.Go(func() error { return survive(func() error { return t.write(work, b) }) })
		if work.Err() != nil || t.halted() != nil || t.over() {
			return found, group.Wait()
		}
	}
}

// survive makes an error of a panic, which would end the whole worker from a goroutine of its own.
func survive(work func() error) (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("it panicked: %v\n%s", broken, debug.Stack())
		}
	}()
	return work()
}

// over says whether others should have their turn.
func (t *turn) over() bool {
	long := slice
	if t.Crowded != nil && t.Crowded() {
		long = crowdedSlice
	}
	return !t.Now().Before(t.began.Add(long))
}

func (t *turn) halted() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stop
}

func (t *turn) halt(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stop = why
}

// quit lets go of the lane, and tells the queue when the slice ended with work left. left is false when a wake-up came
// meanwhile and the lane must be looked at again.
func (t *turn) quit(ctx context.Context, more bool) (left bool, err error) {
	t.fault("leaving")
	err = t.DB.In(ctx, t.id, func(ctx context.Context, tx *tenants.Tx) error {
		var err error
		left, err = t.lane.Quit(ctx, tx, more)
		return err
	})
	if err == nil && more && t.halted() == nil {
		t.Remind([]tenants.Reminder{{Tenant: t.id, Kind: string(outbox.Push)}})
	}
	return left, err
}

// sleep lets go of a lane whose account cannot be used. The promises stay open; with access revoked they wait for
// somebody to reconnect, which hastens them.
func (t *turn) sleep(ctx context.Context, cause error) error {
	return t.DB.In(ctx, t.id, func(ctx context.Context, tx *tenants.Tx) error {
		if err := t.rest(ctx, tx, cause); err != nil {
			return err
		}
		_, err := t.lane.Quit(ctx, tx, true)
		return err
	})
}

// shortest is the pause that is not worth moving every promise of a lane: the limiter holds the calls back.
const shortest = 3 * time.Second

// rest keeps the lane from being woken before the CRM may be called again, and says why for people to see.
func (t *turn) rest(ctx context.Context, tx *tenants.Tx, cause error) error {
	if err := t.shutOut(ctx, tx, cause); err != nil {
		return err
	}
	now, wait := t.Now(), pause(cause)
	outbox.Pause(tx, now.Add(wait), code(cause))
	if wait < shortest {
		return nil
	}
	return outbox.Postpone(ctx, tx, outbox.Push, now, now.Add(wait), code(cause))
}

// shutOut tells the administrator when the CRM shut us out, or gives us no access. A call that comes through takes it back.
func (w *Worker) shutOut(ctx context.Context, tx *tenants.Tx, cause error) error {
	kind := payments.CRMBlocked
	switch {
	case blocked(cause):
	case crm.ClassOf(cause) == crm.Revoked:
		kind = payments.CRMRevoked
	default:
		return nil
	}
	return payments.Raise(ctx, tx, payments.Exception{Kind: kind, Key: kind, OpenedAt: w.Now()}, "")
}

// letIn are the exceptions that end when the CRM does something for us.
var letIn = []string{payments.CRMBlocked, payments.CRMRevoked}
