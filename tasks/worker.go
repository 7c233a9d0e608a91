// Package tasks keeps promises. asynq only brings reminders; the claim in Postgres decides who works, and the row there
// says what is left to do.
package tasks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/google/uuid"
)

// Accounts hands out connected CRM accounts.
type Accounts interface {
	Account(ctx context.Context, id tenants.ID) (crm.Account, tenants.Tenant, error)
	Setup(ctx context.Context, id tenants.ID) error
	Leave(ctx context.Context, id tenants.ID) error
}

// Worker keeps promises. Fill every field; methods are safe for concurrent use.
type Worker struct {
	DB       *tenants.DB
	Payments *payments.Service
	Accounts Accounts
	// Robots answers the rules of a CRM's automation that wait for a deal, and says when to look again.
	Robots func(ctx context.Context, id tenants.ID, deal string) (time.Time, error)
	Remind func([]tenants.Reminder) // sends reminders to the queue
	Now    func() time.Time
	Log    *slog.Logger
	// Crowded says that lanes wait for a place, so that turns should be short; nil: they never do.
	Crowded func() bool
	// Fault is called at named points and may kill the process; nil outside fault tests.
	Fault func(point string)
}

const (
	// lease is how long a claim stands without a sign of life; a killed worker's work is free again after it. With the
	// sweeper's quiet time another worker has it within four seconds.
	lease = 2500 * time.Millisecond
	// signOfLife is how often a lease is renewed: a worker or a database that hangs for two seconds loses nothing.
	signOfLife = 500 * time.Millisecond
	// callTime bounds the work on one claim.
	callTime = 45 * time.Second
)

// Retries: fast for a quarter of an hour, then hourly, given up after three days.
const (
	fastFor = 15 * time.Minute
	giveUp  = 72 * time.Hour
)

func (w *Worker) fault(point string) {
	if w.Fault != nil {
		w.Fault(point)
	}
}

// Run keeps one promise, if it is still open, due and free; of reviews it keeps all that are due.
func (w *Worker) Run(ctx context.Context, id tenants.ID, kind outbox.Kind, promise int64) error {
	if kind == outbox.Review {
		return w.Reviews(ctx, id)
	}
	var claims []outbox.Claim
	err := w.DB.Lightly(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		var err error
		claims, err = outbox.Take(ctx, tx, kind, promise, tenants.NewUUID(), w.Now(), lease, 1)
		return err
	})
	if err != nil || len(claims) == 0 {
		return err
	}
	w.fault("claimed")
	work, stop := context.WithTimeout(ctx, callTime)
	defer stop()
	work, alive := w.keepAlive(work, stop, id, func(ctx context.Context, tx *tenants.Tx, until time.Time) error {
		return outbox.Renew(ctx, tx, claims, until)
	})
	again, failure := w.keep(work, id, claims[0])
	alive()
	w.fault("worked")
	return w.close(ctx, id, claims[0], again, failure)
}

// keepAlive renews a lease until the returned function is called. When the lease is lost, or could not be renewed for as long as
// it holds, it cancels the work: somebody else may do it by then. A worker that stood still finds that out by no timer; so no
// paced call of the returned context is begun after the lease.
func (w *Worker) keepAlive(ctx context.Context, cancel context.CancelFunc, id tenants.ID, renew func(context.Context, *tenants.Tx, time.Time) error) (context.Context, func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	var until atomic.Int64
	renewed := func(to time.Time) { until.Store(to.UnixNano()) }
	over := func() bool { return w.Now().UnixNano() > until.Load() }
	renewed(w.Now().Add(lease))
	go func() {
		defer close(ended)
		tick := time.NewTicker(signOfLife)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
				next := w.Now().Add(lease)
				err := w.DB.Lightly(ctx, id, func(ctx context.Context, tx *tenants.Tx) error { return renew(ctx, tx, next) })
				if err == nil {
					renewed(next)
				}
				if errors.Is(err, outbox.ErrLost) || err != nil && over() {
					cancel()
				}
			}
		}
	}()
	return context.WithValue(ctx, overKey{}, over), func() {
		close(done)
		<-ended
	}
}

type overKey struct{}

// held says whether the lease that ctx's work is done under still holds.
func held(ctx context.Context) bool {
	over, ok := ctx.Value(overKey{}).(func() bool)
	return !ok || !over()
}

// keep does what was promised. It returns when to do it again; the zero time means that it is done.
func (w *Worker) keep(ctx context.Context, id tenants.ID, c outbox.Claim) (time.Time, error) {
	switch c.Kind {
	case outbox.Setup:
		return time.Time{}, w.setup(ctx, id)
	case outbox.Leave:
		return time.Time{}, w.Accounts.Leave(ctx, id)
	case outbox.Reconcile:
		return w.reconcile(ctx, id, c)
	case outbox.Robot:
		return w.Robots(ctx, id, c.Key)
	}
	ref, err := uuid.Parse(c.Key)
	if err != nil {
		return time.Time{}, fmt.Errorf("promise %s has a bad key: %w", c.Kind, err)
	}
	switch c.Kind {
	case outbox.Check:
		return w.Payments.Check(ctx, id, ref)
	case outbox.Notice:
		return w.Payments.Match(ctx, id, ref)
	case outbox.Expire:
		return w.Payments.Expire(ctx, id, ref)
	case outbox.Refund:
		return w.Payments.SendRefund(ctx, id, ref)
	case outbox.Email:
		return w.Payments.Deliver(ctx, id, ref)
	}
	return time.Time{}, fmt.Errorf("nobody keeps promises of kind %s", c.Kind)
}

// setup prepares a connected account, and lets everything that waited for access go on.
func (w *Worker) setup(ctx context.Context, id tenants.ID) error {
	if err := w.Accounts.Setup(ctx, id); err != nil {
		return err
	}
	return w.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		if err := payments.SettleAll(ctx, tx, letIn, tenants.CRM, "", w.Now()); err != nil {
			return err
		}
		for _, kind := range []outbox.Kind{outbox.Push, outbox.Robot, outbox.Review} {
			if err := outbox.Hasten(ctx, tx, kind, w.Now()); err != nil {
				return err
			}
		}
		return nil
	})
}

// close records what became of a promise.
func (w *Worker) close(ctx context.Context, id tenants.ID, c outbox.Claim, again time.Time, failure error) error {
	err := w.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		switch {
		case failure == nil && again.IsZero(), errors.Is(failure, payments.ErrNotFound):
			return outbox.Done(ctx, tx, w.Now(), c)
		case failure == nil:
			return outbox.Again(ctx, tx, c, w.Now(), again, "")
		case postponed(failure):
			if err := w.shutOut(ctx, tx, failure); err != nil {
				return err
			}
			return outbox.Again(ctx, tx, c, w.Now(), w.Now().Add(pause(failure)), "")
		}
		return w.settleFailed(ctx, tx, c, failure)
	})
	w.fault("closed")
	if errors.Is(err, outbox.ErrLost) {
		return nil
	}
	return err
}

// postponed says that a failure is no try: the CRM asks for a pause, or gives no access until somebody reconnects.
func postponed(failure error) bool {
	class := crm.ClassOf(failure)
	return class == crm.Throttled || class == crm.Revoked
}

// settleFailed says when a promise that failed is tried again, or gives it up.
func (w *Worker) settleFailed(ctx context.Context, tx *tenants.Tx, c outbox.Claim, failure error) error {
	due, dead := retry(c, w.Now())
	w.Log.WarnContext(ctx, "promise failed", "tenant", tx.Tenant(), "kind", c.Kind, "key", c.Key, "attempts", c.Attempts+1, "next", due, "err", failure)
	if dead {
		return outbox.Bury(ctx, tx, c, w.Now(), code(failure))
	}
	return outbox.Again(ctx, tx, c, w.Now(), due, code(failure))
}

// revokedFor is how long a lane without access rests. Reconnecting ends the rest; an account that was not paid for comes
// back by itself.
const revokedFor = 15 * time.Minute

// pause is how long the work has to wait after a call that was throttled, or without access.
func pause(err error) time.Duration {
	var e *crm.Error
	switch {
	case crm.ClassOf(err) == crm.Revoked:
		return revokedFor
	case errors.As(err, &e) && e.RetryAfter > 0:
		return e.RetryAfter
	}
	return time.Second
}

// limited is the method that alone has to wait, when that is what a failure says.
func limited(err error) string {
	var e *crm.Error
	if crm.ClassOf(err) != crm.Throttled || !errors.As(err, &e) {
		return ""
	}
	return e.Method
}

// retry says when a failed promise is tried again, and whether it is given up.
func retry(c outbox.Claim, now time.Time) (time.Time, bool) {
	since := now
	if c.FailingSince != nil {
		since = *c.FailingSince
	}
	switch age := now.Sub(since); {
	case age > giveUp && c.Kind == outbox.Setup: // nothing else would bring the account back, or renew its access while it is idle
		return now.Add(24 * time.Hour), false
	case age > giveUp:
		return now, true
	case age > fastFor:
		return now.Add(time.Hour), false
	}
	return now.Add(min(time.Second<<min(c.Attempts, 5), 30*time.Second)), false
}

// blocked says whether the CRM shut us out.
func blocked(err error) bool {
	var e *crm.Error
	return errors.As(err, &e) && e.Blocked
}

// code is the reason that is kept and shown: a word, never a foreign text.
func code(err error) string {
	var e *crm.Error
	switch {
	case blocked(err):
		return "blocked"
	case errors.As(err, &e) && e.Code == CodeAway:
		return "paused" // by us: the CRM did not refuse
	case errors.As(err, &e):
		return e.Class.String()
	case errors.Is(err, payments.ErrCredentials):
		return "credentials"
	case errors.Is(err, payments.ErrUnavailable):
		return "unavailable"
	}
	return "transient"
}
