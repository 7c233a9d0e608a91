package outbox_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// drainer is a worker that was reminded of the lane, one transaction after the other, as tasks runs it.
type drainer struct {
	lane   outbox.Lane
	claims []outbox.Claim
	next   func(*drainer) // nil: it is through
}

// crossing is a lane with promises and workers in some order.
type crossing struct {
	*desk
	workers  []*drainer
	reminded int // reminders sent and not yet answered
	holder   *drainer
}

func (c *crossing) enter(w *drainer) {
	var mine bool
	c.in(func(ctx context.Context, tx *tenants.Tx) (err error) {
		w.lane, mine, err = outbox.Enter(ctx, tx, uuid.New(), c.now, c.now.Add(time.Hour))
		return err
	})
	if w.next = nil; mine {
		require.Nil(c, c.holder, "two holders")
		c.holder, w.next = w, c.look
	}
}

func (c *crossing) look(w *drainer) {
	c.in(func(ctx context.Context, tx *tenants.Tx) (err error) {
		w.claims, err = w.lane.Look(ctx, tx, c.now, time.Minute, 2)
		return err
	})
	if w.next = c.record; len(w.claims) == 0 {
		w.next = c.quit
	}
}

func (c *crossing) record(w *drainer) {
	c.in(func(ctx context.Context, tx *tenants.Tx) error { return outbox.Done(ctx, tx, c.now, w.claims...) })
	w.next = c.look
}

func (c *crossing) quit(w *drainer) {
	var left bool
	c.in(func(ctx context.Context, tx *tenants.Tx) (err error) {
		left, err = w.lane.Quit(ctx, tx, false)
		return err
	})
	if w.next = c.look; left {
		c.holder, w.next = nil, nil
	}
}

// Whatever the order of promises, reminders and steps of the workers: when every reminder was answered and every worker
// is through, nothing is left undone, without any sweeper. And no two workers hold the lane at once.
func TestNoOrderOfStepsLosesWork(t *testing.T) {
	d := newDesk(t)
	rapid.Check(t, func(r *rapid.T) {
		c := &crossing{desk: &desk{T: t, f: d.f, id: d.id, now: d.now}}
		d.f.DB.Wake = func(sent []tenants.Reminder) { c.reminded += len(sent) }
		defer func() { d.f.DB.Wake = nil }()
		for range rapid.IntRange(5, 60).Draw(r, "steps") {
			c.step(r, rapid.SampledFrom([]int{0, 1, 2}).Draw(r, "what"))
		}
		for c.reminded > 0 || c.busy() {
			c.step(r, rapid.SampledFrom([]int{1, 2}).Draw(r, "rest"))
		}
		var open int
		c.in(func(ctx context.Context, tx *tenants.Tx) error {
			return tx.QueryRow(ctx, `SELECT count(*) FROM outbox WHERE done_at IS NULL`).Scan(&open)
		})
		if open > 0 {
			r.Fatalf("%d promises are open and nobody will look", open)
		}
	})
}

func (c *crossing) step(r *rapid.T, what int) {
	switch {
	case what == 0:
		c.promise(fmt.Sprint(rapid.IntRange(1, 4).Draw(r, "deal")), c.now)
	case what == 1 && c.reminded > 0:
		c.reminded--
		w := &drainer{}
		c.workers = append(c.workers, w)
		c.enter(w)
	case c.busy():
		var able []*drainer
		for _, w := range c.workers {
			if w.next != nil {
				able = append(able, w)
			}
		}
		w := able[rapid.IntRange(0, len(able)-1).Draw(r, "worker")]
		w.next(w)
	}
}

func (c *crossing) busy() bool {
	for _, w := range c.workers {
		if w.next != nil {
			return true
		}
	}
	return false
}

// Two workers cannot hold a lane, one after a lease that ran out can; what the first one held is free for the second and
// lost for the first.
func TestALaneAndItsClaimsPassOnWhenTheLeaseRunsOut(t *testing.T) {
	d := newDesk(t)
	c := &crossing{desk: d}
	d.promise("1", d.now)
	first := &drainer{}
	c.enter(first)
	c.look(first)
	require.Len(t, first.claims, 1)
	d.now = d.now.Add(2 * time.Hour)
	c.holder = nil
	second := &drainer{}
	c.enter(second)
	require.NotNil(t, second.next)
	c.look(second)
	require.Len(t, second.claims, 1)
	require.ErrorIs(t, d.done(first.claims[0]), outbox.ErrLost)
	require.ErrorIs(t, d.try(func(ctx context.Context, tx *tenants.Tx) error {
		_, err := first.lane.Look(ctx, tx, d.now, time.Minute, 2)
		return err
	}), outbox.ErrLost)
	require.ErrorIs(t, d.try(func(ctx context.Context, tx *tenants.Tx) error { return first.lane.Keep(ctx, tx, d.now) }), outbox.ErrLost)
	c.record(second)
	c.look(second)
	c.quit(second)
	require.Nil(t, c.holder)
}

// What a living holder has in hand is not handed to it a second time, however long it takes.
func TestAHolderIsNotGivenTwiceWhatItHas(t *testing.T) {
	d := newDesk(t)
	d.promise("1", d.now)
	owner := uuid.New()
	require.Len(t, d.take(owner, 10), 1)
	d.now = d.now.Add(time.Hour)
	require.Empty(t, d.take(owner, 10))
	require.Len(t, d.take(uuid.New(), 10), 1)
}

// A tenant with thousands of promises keeps nobody's reminder waiting: one wakes its lane.
func TestAFloodKeepsNobodysReminderWaiting(t *testing.T) {
	d := newDesk(t)
	d.in(func(ctx context.Context, tx *tenants.Tx) error {
		for _, kind := range []outbox.Kind{outbox.Push, outbox.Check} {
			if _, err := tx.Exec(ctx, `INSERT INTO outbox (tenant_id, kind, key, due_at) SELECT $1, $2, n::text, $3 FROM generate_series(1, 5000) n`,
				d.id.String(), string(kind), d.now.Add(-time.Hour)); err != nil {
				return err
			}
		}
		return nil
	})
	other := d.another("small")
	require.NoError(t, d.f.DB.In(t.Context(), other, func(ctx context.Context, tx *tenants.Tx) error {
		return outbox.Make(ctx, tx, outbox.Push, "1", d.now)
	}))
	due, err := d.f.DB.Due(t.Context(), d.now, time.Second, 10)
	require.NoError(t, err)
	pushes := map[tenants.ID]int{}
	for _, r := range due {
		if r.Kind == string(outbox.Push) {
			pushes[r.Tenant]++
		}
	}
	require.Equal(t, map[tenants.ID]int{d.id: 1, other: 1}, pushes)
	require.Len(t, due, 10, "the rest are checks")
}
