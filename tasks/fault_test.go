package tasks_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tasks"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// death is the panic of a worker that dies: nothing after it runs, no lease is given back.
type death struct{}

// dying runs do with a worker that dies at the nth passing of a point, and says whether it died.
func (h *house) dying(at string, nth int, do func(*tasks.Worker)) (died bool) {
	h.Helper()
	w := h.worker()
	w.Fault = func(point string) {
		if point == at {
			if nth--; nth == 0 {
				panic(death{})
			}
		}
	}
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(death); !ok {
				panic(r)
			}
			died = true
		}
	}()
	do(w)
	return false
}

// points of a lane, before and after every call and every commit.
var points = []string{"entered", "sending", "before call", "after call", "recorded", "leaving"}

func TestAWorkerMayDieAtAnyPointOfALane(t *testing.T) {
	for _, point := range points {
		for nth := 1; nth <= 2; nth++ {
			t.Run(fmt.Sprint(point, " ", nth), func(t *testing.T) {
				h := newHouse(t)
				h.pay(deals(70)...) // two parts
				h.pay("1", "1")
				h.in(func(ctx context.Context, tx *tenants.Tx) error {
					return payments.Raise(ctx, tx, payments.Exception{Kind: payments.Orphan, Key: "orphan:2", DealID: "2", OpenedAt: h.now()}, "")
				})
				died := h.dying(point, nth, func(w *tasks.Worker) { _ = w.Lane(context.WithoutCancel(t.Context()), h.id) })
				require.True(t, died || nth > 1, "the point was never passed")
				h.lane()
				h.later(3100 * time.Millisecond) // the lease of the dead
				h.lane()
				for _, deal := range deals(70)[1:] {
					require.Equal(t, crm.Paid, h.book.status(deal), "fields wait for no doubt")
				}
				h.later(time.Second) // and its last call
				h.lane()
				require.Zero(t, h.open())
				require.Equal(t, 3, h.book.noted("1"))
				require.Len(t, h.book.tasks["2"], 1)
				for _, deal := range deals(70)[1:] {
					require.Equal(t, []any{crm.Paid, 1, "written"}, []any{h.book.status(deal), h.book.noted(deal), h.sync(deal).State}, deal)
				}
			})
		}
	}
}

func TestAnAnswerLostAfterTheCRMDidTheWorkDoublesNothing(t *testing.T) {
	for _, kill := range append([]string{""}, points...) {
		t.Run(kill, func(t *testing.T) {
			h := newHouse(t)
			h.pay("1", "1", "2", "3")
			h.book.set(func(crm.Change) error { return failing(crm.Transient, true) }, nil)
			h.dying(kill, 1, func(w *tasks.Worker) { _ = w.Lane(context.WithoutCancel(t.Context()), h.id) })
			h.later(4 * time.Second)
			h.lane() // lost again
			h.book.set(nil, nil)
			h.later(4 * time.Second)
			h.lane()
			require.Zero(t, h.open())
			require.Equal(t, []int{2, 1, 1}, []int{h.book.noted("1"), h.book.noted("2"), h.book.noted("3")})
		})
	}
}

// A CRM that does not answer in time goes on with what it was told. The fields are written again soon, the note is not repeated
// before the CRM must be through.
func TestACRMThatIsLateDoublesNothing(t *testing.T) {
	for _, late := range []error{context.DeadlineExceeded, &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}} {
		h := newHouse(t)
		h.pay("1")
		var pending []crm.Change
		h.book.set(func(c crm.Change) error {
			pending = append(pending, c)
			return &crm.Error{Class: crm.Transient, Op: "test", Ambiguous: true, Err: late}
		}, nil)
		h.book.unheard = true
		h.lane()
		require.Len(t, pending, 2, "the fields and the note")
		h.book.set(nil, nil)
		h.later(2 * time.Second)
		h.lane()
		require.Equal(t, []any{crm.Paid, 0}, []any{h.book.status("1"), h.book.noted("1")})
		require.Equal(t, 1, h.open())
		h.later(50 * time.Second)
		h.lane()
		require.Zero(t, h.book.noted("1"))
		h.book.mu.Lock()
		for _, c := range pending {
			h.book.do(c)
		}
		h.book.mu.Unlock()
		h.later(9 * time.Second)
		h.lane()
		require.Equal(t, []int{1, 0}, []int{h.book.noted("1"), h.open()})
		require.Equal(t, "written", h.sync("1").State)
	}
}

// A note waits, and what failed beside it goes on failing until somebody is told.
func TestANoteInDoubtDoesNotHideThatADealFails(t *testing.T) {
	h := newHouse(t)
	h.pay("1")
	h.book.unheard = true
	h.book.set(func(crm.Change) error {
		return &crm.Error{Class: crm.Transient, Op: "test", Ambiguous: true, Err: context.DeadlineExceeded}
	}, nil)
	for range 40 {
		h.lane()
		h.later(40 * time.Second)
	}
	require.Equal(t, []string{payments.SyncFailed}, h.exceptions("1"))
}

// After a lost answer the CRM throttles: the run that could not look must not make the next one forget to look.
func TestADoubtStaysUntilSomebodyHasLooked(t *testing.T) {
	h := newHouse(t)
	h.pay("1")
	h.book.set(func(crm.Change) error { return failing(crm.Transient, true) }, nil)
	h.lane()
	for _, class := range []crm.Class{crm.Throttled, crm.Transient, crm.Revoked} {
		h.book.set(func(crm.Change) error { return failing(class, false) }, nil)
		h.later(20 * time.Minute)
		h.lane()
	}
	h.book.set(nil, nil)
	h.later(2 * time.Hour)
	h.lane()
	require.Equal(t, 1, h.book.noted("1"))
	require.Equal(t, "written", h.sync("1").State)
}

// A check dies between claim, question, answer and record: the payment is recorded once and told once.
func TestAWorkerMayDieAtAnyPointOfACheck(t *testing.T) {
	for _, point := range []string{"claimed", "looking", "worked", "closed"} {
		t.Run(point, func(t *testing.T) {
			h := newHouse(t)
			in := h.owe("1")
			_, err := h.payments.Pay(t.Context(), h.id, in.ID, "token", "", "en")
			require.NoError(t, err)
			h.till.paid = map[string]bool{in.Number + "-1": true}
			h.later(31 * time.Second)
			died := h.dying(point, 1, func(w *tasks.Worker) {
				h.till.look = func() { w.Fault("looking") }
				h.checks(w)
			})
			require.True(t, died)
			h.till.look = nil
			h.later(3100 * time.Millisecond)
			h.checks(h.worker())
			h.lane()
			require.Equal(t, []any{crm.Paid, 1}, []any{h.book.status("1"), h.book.noted("1")})
			var facts int
			h.in(func(ctx context.Context, tx *tenants.Tx) error {
				return tx.QueryRow(ctx, `SELECT count(*) FROM facts WHERE status = 'paid'`).Scan(&facts)
			})
			require.Equal(t, 1, facts)
		})
	}
}

// checks keeps every check that is due.
func (h *house) checks(w *tasks.Worker) {
	h.Helper()
	due, err := h.f.DB.Due(context.WithoutCancel(h.Context()), h.now(), 0, 100)
	require.NoError(h, err)
	for _, r := range due {
		if r.Kind == string(outbox.Check) {
			require.NoError(h, w.Run(context.WithoutCancel(h.Context()), r.Tenant, outbox.Check, r.ID))
		}
	}
}

func TestAPromiseWithABadKeyIsGivenUpInTheEnd(t *testing.T) {
	h := newHouse(t)
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		return outbox.Make(ctx, tx, outbox.Check, "no uuid", h.now())
	})
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		return outbox.Make(ctx, tx, outbox.Check, uuid.NewString(), h.now())
	})
	for range 60 {
		h.checks(h.worker())
		h.later(90 * time.Minute)
	}
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		dead, err := outbox.Buried(ctx, tx, 10)
		require.Len(t, dead, 1, "an attempt that is not there is nothing to wait for")
		return err
	})
}
