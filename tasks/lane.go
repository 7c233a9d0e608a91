package tasks

import (
	"context"
	"errors"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// slice is how long one turn of a lane may take before others have theirs.
const slice = 5 * time.Second

// Lane drains one CRM account: it takes the lane, writes batch after batch, and lets go when nothing is due and no
// wake-up came since it looked. At the end of its slice it goes to the back of the queue.
func (w *Worker) Lane(ctx context.Context, id tenants.ID) error {
	var lane outbox.Lane
	var mine bool
	err := w.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		var err error
		lane, mine, err = outbox.Enter(ctx, tx, tenants.NewUUID(), w.Now(), w.Now().Add(lease))
		return err
	})
	if err != nil || !mine {
		return err
	}
	work, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	alive := w.keepAlive(work, stop, id, func(ctx context.Context, tx *tenants.Tx, until time.Time) error {
		return lane.Keep(ctx, tx, until)
	})
	err = w.turn(work, id, &lane)
	alive()
	if err != nil { // let go in any case: the sweeper brings the lane back
		err = errors.Join(err, w.DB.In(context.WithoutCancel(ctx), id, func(ctx context.Context, tx *tenants.Tx) error {
			_, err := lane.Quit(ctx, tx, true)
			return err
		}))
	}
	return err
}

// turn writes until nothing is due, the slice is over, or the CRM asks for a pause.
func (w *Worker) turn(ctx context.Context, id tenants.ID, lane *outbox.Lane) error {
	account, tenant, err := w.Accounts.Account(ctx, id)
	if err != nil {
		return w.sleep(ctx, id, lane, err)
	}
	ends := w.Now().Add(slice)
	for {
		b, err := w.load(ctx, id, lane, tenant)
		if err != nil {
			return err
		}
		if len(b.deals) > 0 {
			if err := w.write(ctx, id, account, b); err != nil {
				return err
			}
			if b.stop == nil && w.Now().Before(ends) {
				continue
			}
		}
		left, err := w.quit(ctx, id, lane, b)
		if err != nil || left {
			return err
		}
	}
}

// quit lets go of the lane, and tells the queue when the slice ended with work left. left is false when a wake-up came
// meanwhile and the lane must be looked at again.
func (w *Worker) quit(ctx context.Context, id tenants.ID, lane *outbox.Lane, b *batch) (left bool, err error) {
	more := len(b.deals) > 0
	err = w.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		var err error
		left, err = lane.Quit(ctx, tx, more)
		return err
	})
	if err == nil && more && b.stop == nil {
		w.Remind([]tenants.Reminder{{Tenant: id, Kind: string(outbox.Push)}})
	}
	return left, err
}

// sleep lets go of a lane whose account cannot be used. The promises stay open; with access revoked they wait for
// somebody to reconnect, which promises a push again.
func (w *Worker) sleep(ctx context.Context, id tenants.ID, lane *outbox.Lane, cause error) error {
	return w.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		due := w.Now().Add(pause(cause))
		if crm.ClassOf(cause) == crm.Revoked {
			due = w.Now().Add(time.Minute)
		}
		if err := outbox.Pause(ctx, tx, due, code(cause)); err != nil {
			return err
		}
		if err := outbox.Postpone(ctx, tx, outbox.Push, w.Now(), due, code(cause)); err != nil {
			return err
		}
		_, err := lane.Quit(ctx, tx, true)
		return err
	})
}
