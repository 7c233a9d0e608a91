package tasks_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

func TestEveryDealOfABatchHasItsOwnVerdict(t *testing.T) {
	h := newHouse(t)
	h.pay(deals(60)...)
	bad := map[string]crm.Class{"7": crm.Refused, "13": crm.Gone, "21": crm.Transient}
	h.book.set(func(c crm.Change) error {
		if class, ok := bad[c.Deal]; ok {
			return failing(class, false)
		}
		return nil
	}, nil)
	h.lane()
	for _, deal := range deals(60) {
		if _, ok := bad[deal]; !ok {
			require.Equal(t, []any{crm.Paid, 1, "written"}, []any{h.book.status(deal), h.book.noted(deal), h.sync(deal).State}, deal)
		}
	}
	require.Equal(t, "failed", h.sync("7").State)
	require.Equal(t, []string{payments.SyncFailed}, h.exceptions("7"))
	require.Equal(t, []string{payments.DealGone}, h.exceptions("13"))
	require.Empty(t, h.exceptions("21"), "a passing failure is nobody's business yet")
	require.Equal(t, 1, h.open(), "only the passing failure is tried again")
	h.book.set(nil, nil)
	h.later(2 * time.Second)
	h.lane()
	require.Equal(t, []any{crm.Paid, 1}, []any{h.book.status("21"), h.book.noted("21")})
}

func TestARefusedDealIsWrittenByReplayAndItsExceptionCloses(t *testing.T) {
	h := newHouse(t)
	h.pay("7")
	h.book.set(func(crm.Change) error { return failing(crm.Refused, false) }, nil)
	h.lane()
	h.later(time.Hour)
	h.lane()
	calls, _, _ := h.book.counts()
	require.Equal(t, 1, calls, "what is refused is not repeated by itself")
	h.book.set(nil, nil)
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		n, err := outbox.Replay(ctx, tx, nil, h.now())
		require.Equal(t, 1, n)
		return err
	})
	h.lane()
	require.Equal(t, []any{crm.Paid, 1, "written"}, []any{h.book.status("7"), h.book.noted("7"), h.sync("7").State})
	require.Empty(t, h.exceptions("7"))
}

// dead is how many promises were given up.
func (h *house) dead() (n int) {
	h.Helper()
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		b, err := outbox.BacklogOf(ctx, tx)
		n = b.Dead
		return err
	})
	return n
}

func TestALaterPushEndsWhatWasGivenUpUnlessANoteIsMissing(t *testing.T) {
	h := newHouse(t)
	h.pay("7", "8")
	h.book.set(func(c crm.Change) error {
		if c.State != nil || c.Deal == "8" {
			return failing(crm.Refused, false)
		}
		return nil
	}, nil)
	h.lane()
	require.Equal(t, 2, h.dead())
	h.book.set(nil, nil)
	h.pay("7", "8")
	h.lane()
	require.Equal(t, []any{"written", 2}, []any{h.sync("7").State, h.book.noted("7")})
	require.Equal(t, []any{"failed", 1}, []any{h.sync("8").State, h.book.noted("8")}, "the refused note is not forgotten")
	require.Equal(t, 1, h.dead())
	h.in(func(ctx context.Context, tx *tenants.Tx) error { return outbox.Revive(ctx, tx, "8", h.now()) })
	h.lane()
	require.Equal(t, []any{"written", 2, 0}, []any{h.sync("8").State, h.book.noted("8"), h.dead()})
}

// A task whose exception ended meanwhile is not brought back: nothing would ever close it.
func TestARefusedTaskComesBackOnlyWhileItIsNeeded(t *testing.T) {
	h := newHouse(t)
	raise := func(key string) {
		h.in(func(ctx context.Context, tx *tenants.Tx) error {
			return payments.Raise(ctx, tx, payments.Exception{Kind: payments.Orphan, Key: key, DealID: "1", OpenedAt: h.now()}, "")
		})
	}
	raise("over")
	raise("open")
	h.book.set(func(crm.Change) error { return failing(crm.Refused, false) }, nil)
	h.lane()
	h.book.set(nil, nil)
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		return payments.Settle(ctx, tx, "over", "user:1", "dismiss", h.now())
	})
	h.in(func(ctx context.Context, tx *tenants.Tx) error { return outbox.Revive(ctx, tx, "1", h.now()) })
	h.lane()
	require.Len(t, h.book.tasks["1"], 1)
	require.False(t, h.book.tasks["1"][0].done)
}

// Somebody deleted our task in the CRM; the deal is there.
func TestATaskThatIsGoneSaysNothingOfItsDeal(t *testing.T) {
	h := newHouse(t)
	h.pay("1")
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		return payments.Raise(ctx, tx, payments.Exception{Kind: payments.Orphan, Key: "o", DealID: "1", OpenedAt: h.now()}, "")
	})
	h.lane()
	h.book.set(func(c crm.Change) error {
		if c.Effect != nil && c.Effect.Kind == crm.CloseTask {
			return failing(crm.Gone, false)
		}
		return nil
	}, nil)
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		return payments.Settle(ctx, tx, "o", "user:1", "dismiss", h.now())
	})
	h.lane()
	require.Empty(t, h.exceptions("1"))
	require.Equal(t, []any{"written", 0, 0}, []any{h.sync("1").State, h.open(), h.dead()})
}

// A deal comes back from the CRM's bin: its exception ends, and what could not be told is told.
func TestADealThatIsBackIsToldWhatItMissed(t *testing.T) {
	for how, notes := range map[string]int{"seen": 2, "written": 3, "never written before": 1} {
		t.Run(how, func(t *testing.T) {
			h := newHouse(t)
			if notes > 1 {
				h.pay("1")
				h.lane()
			}
			h.book.set(func(crm.Change) error { return failing(crm.Gone, false) }, nil)
			h.pay("1")
			h.lane()
			require.Equal(t, []string{payments.DealGone}, h.exceptions("1"))
			h.book.set(nil, nil)
			if how != "written" {
				h.later(time.Hour)
				h.changed("1")
				h.reviews()
			} else {
				h.pay("1")
			}
			h.lane()
			require.Empty(t, h.exceptions("1"))
			require.Equal(t, "written", h.sync("1").State)
			require.Equal(t, notes, h.book.noted("1"))
			require.Zero(t, h.open())
		})
	}
}

func TestThrottlingStopsTheTurnAndCountsNothing(t *testing.T) {
	h := newHouse(t)
	h.pay(deals(120)...)
	throttled := failing(crm.Throttled, false)
	throttled.RetryAfter = 20 * time.Second
	h.book.set(func(crm.Change) error { return throttled }, nil)
	h.lane()
	calls, _, _ := h.book.counts()
	require.Equal(t, 1, calls, "the rest was not even sent")
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		lane, err := outbox.LaneOf(ctx, tx)
		require.Equal(t, "throttled", lane.PausedWhy)
		require.Equal(t, h.now().Add(20*time.Second), lane.PausedUntil.UTC())
		var due, attempts int
		require.NoError(t, tx.QueryRow(ctx, `SELECT count(*) FILTER (WHERE due_at <= $1), sum(attempts) FROM outbox WHERE kind = 'push'`, h.now()).Scan(&due, &attempts))
		require.Equal(t, []int{0, 0}, []int{due, attempts}, "nothing wakes the lane meanwhile")
		return err
	})
	h.book.set(nil, nil)
	h.later(21 * time.Second)
	h.lane()
	for _, deal := range deals(120) {
		require.Equal(t, 1, h.book.noted(deal))
	}
}

// exhausted is the refusal of one method for four minutes.
func exhausted() *crm.Error {
	e := failing(crm.Throttled, false)
	e.Method, e.RetryAfter = "notes", 4*time.Minute
	return e
}

func TestAMethodOverItsTimeHoldsOnlyWhatNeedsIt(t *testing.T) {
	h := newHouse(t)
	h.pay(deals(120)...)
	h.book.set(func(c crm.Change) error {
		switch {
		case c.Effect != nil:
			return exhausted()
		case c.Deal == "7":
			return failing(crm.Transient, false)
		}
		return nil
	}, nil)
	h.lane()
	h.pay("121")
	h.lane()
	for _, deal := range deals(121) {
		if deal != "7" {
			require.Equal(t, []any{crm.Paid, 0}, []any{h.book.status(deal), h.book.noted(deal)}, deal)
			require.Equal(t, []any{"waiting", "throttled", h.now().Add(4 * time.Minute)}, []any{h.sync(deal).State, h.sync(deal).Reason, h.sync(deal).NextTry.UTC()}, deal)
		}
	}
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		lane, err := outbox.LaneOf(ctx, tx)
		require.Empty(t, lane.PausedWhy, "the lane goes on")
		return err
	})
	require.Equal(t, []any{"transient", h.now().Add(time.Second)}, []any{h.sync("7").Reason, h.sync("7").NextTry.UTC()},
		"fields that failed do not wait for the note")
	h.book.set(nil, nil)
	h.later(4 * time.Minute)
	h.lane()
	for _, deal := range deals(121) {
		require.Equal(t, []any{crm.Paid, 1, "written"}, []any{h.book.status(deal), h.book.noted(deal), h.sync(deal).State}, deal)
	}
	require.Zero(t, h.open())
}

func TestDealsThatCannotBeReadForAWhileAreToldMeanwhile(t *testing.T) {
	h := newHouse(t)
	h.paidWins()
	h.pay(deals(30)...)
	h.book.hide(exhausted())
	h.lane()
	for _, deal := range deals(30) {
		require.Equal(t, []any{1, crm.Status("")}, []any{h.book.noted(deal), h.book.status(deal)})
		require.Equal(t, []any{"waiting", "throttled", h.now().Add(4 * time.Minute)}, []any{h.sync(deal).State, h.sync(deal).Reason, h.sync(deal).NextTry.UTC()})
	}
	h.book.hide(nil)
	h.later(4 * time.Minute)
	h.lane()
	for _, deal := range deals(30) {
		require.Equal(t, []any{1, crm.Paid, "WON"}, []any{h.book.noted(deal), h.book.status(deal), h.book.stages[deal]})
	}
	require.Zero(t, h.open())
}

func TestAnOutageCostsOneCallATurn(t *testing.T) {
	h := newHouse(t)
	h.pay(deals(150)...)
	h.book.set(func(crm.Change) error { return failing(crm.Transient, false) }, nil)
	h.lane()
	calls, _, _ := h.book.counts()
	require.Equal(t, 1, calls)
	h.book.set(nil, nil)
	h.later(2 * time.Second)
	h.lane()
	require.Zero(t, h.open())
}

func TestATenantWithoutAccessKeepsItsWorkAndDrainsItAfterReconnecting(t *testing.T) {
	for _, refused := range []string{"at connecting", "by the CRM"} {
		t.Run(refused, func(t *testing.T) {
			h := newHouse(t)
			h.pay(deals(30)...)
			if refused == "at connecting" {
				h.refuse(failing(crm.Revoked, false))
			}
			h.book.set(func(crm.Change) error { return failing(crm.Revoked, false) }, nil)
			h.lane()
			h.later(time.Minute)
			h.lane()
			calls, _, _ := h.book.counts()
			require.LessOrEqual(t, calls, 1)
			require.Equal(t, 30, h.open())
			require.Equal(t, "waiting", h.sync("1").State)
			require.Equal(t, []string{payments.CRMRevoked}, h.exceptions(""))
			h.refuse(nil)
			h.book.set(nil, nil)
			h.connect()
			require.Empty(t, h.exceptions(""))
			h.lane()
			for _, deal := range deals(30) {
				require.Equal(t, 1, h.book.noted(deal))
			}
			require.Zero(t, h.open())
		})
	}
}

// connect promises and keeps a Setup, as reconnecting does.
func (h *house) connect() {
	h.Helper()
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		return outbox.Make(ctx, tx, outbox.Setup, "account", h.now())
	})
	due, err := h.f.DB.Due(h.Context(), h.now(), time.Hour, 100)
	require.NoError(h, err)
	for _, r := range due {
		if r.Kind == string(outbox.Setup) {
			require.NoError(h, h.worker().Run(h.Context(), h.id, outbox.Setup, r.ID))
		}
	}
}

// Back-off is fast for a quarter of an hour, then hourly to three days; a person hears of it when the quarter is over.
func TestADownCRMIsTriedFastThenHourlyThenGivenUp(t *testing.T) {
	h := newHouse(t)
	h.pay("1")
	h.book.set(func(crm.Change) error { return failing(crm.Transient, false) }, nil)
	start := h.now()
	var gaps []time.Duration
	last := start
	for h.open() == 1 {
		h.lane()
		age := h.now().Sub(start)
		if age <= 15*time.Minute {
			require.Empty(t, h.exceptions("1"), "after %s", age)
		} else {
			require.Equal(t, []string{payments.SyncFailed}, h.exceptions("1"), "after %s", age)
		}
		if next := h.sync("1").NextTry; next != nil {
			gap := next.UTC().Sub(last)
			if age <= 15*time.Minute {
				require.LessOrEqual(t, gap, 30*time.Second)
			} else {
				require.Equal(t, time.Hour, gap)
			}
			gaps = append(gaps, gap)
			h.later(next.UTC().Sub(h.now()))
		}
		last = h.now()
	}
	require.Equal(t, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, gaps[:3])
	require.InDelta(t, (72 * time.Hour).Seconds(), h.now().Sub(start).Seconds(), 3700)
	require.Equal(t, "failed", h.sync("1").State)
	h.book.set(nil, nil)
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		_, err := outbox.Replay(ctx, tx, nil, h.now())
		return err
	})
	h.lane()
	require.Equal(t, []any{"written", 1}, []any{h.sync("1").State, h.book.noted("1")})
	require.Empty(t, h.exceptions("1"), "closed by itself")
}

func TestAnExceptionsTaskIsClosedWhenTheExceptionEnds(t *testing.T) {
	h := newHouse(t)
	h.owe("5")
	raise := payments.Exception{Kind: payments.Orphan, Key: "orphan:5", DealID: "5", OpenedAt: h.now()}
	h.in(func(ctx context.Context, tx *tenants.Tx) error { return payments.Raise(ctx, tx, raise, "") })
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		return payments.Settle(ctx, tx, raise.Key, tenants.Operator, "dismiss", h.now())
	})
	h.lane()
	require.Len(t, h.book.tasks["5"], 1)
	require.True(t, h.book.tasks["5"][0].done, "made first, closed in the next part of the same turn")
	require.Zero(t, h.open())
}

func TestOneAccountsTroubleIsNotAnothers(t *testing.T) {
	h := newHouse(t)
	other := h.tenant("other")
	h.book.set(func(c crm.Change) error {
		if c.Deal == "mine" {
			return failing(crm.Revoked, false)
		}
		return nil
	}, nil)
	h.pay("mine")
	h.payOf(other, "theirs")
	h.lane()
	require.NoError(t, h.worker().Lane(t.Context(), other))
	require.Equal(t, fmt.Sprint(crm.Paid), fmt.Sprint(h.book.status("theirs")))
	require.Equal(t, 1, h.open())
}

// A portal that gave up its larger plan refuses what that allowed: the plan is read again, once.
func TestAThrottledLargePlanIsReadAgain(t *testing.T) {
	for _, enterprise := range []bool{true, false} {
		h := newHouse(t)
		h.in(func(ctx context.Context, tx *tenants.Tx) error { return tx.SetLayout(ctx, []byte(`{}`), enterprise) })
		h.pay(deals(30)...)
		h.book.set(func(crm.Change) error { return failing(crm.Throttled, false) }, nil)
		h.lane()
		var setups int
		h.in(func(ctx context.Context, tx *tenants.Tx) error {
			return tx.QueryRow(ctx, `SELECT count(*) FROM outbox WHERE kind = 'setup'`).Scan(&setups)
		})
		require.Equal(t, map[bool]int{true: 1, false: 0}[enterprise], setups)
	}
}

func TestWhatWaitsForAMomentIsNotForgottenWhenTheMomentPassesMeanwhile(t *testing.T) {
	h := newHouse(t)
	h.owe("1")
	h.lane()
	h.later(900 * time.Millisecond)
	h.owe("1") // no news of money, a moment after the last write
	h.pay("2")
	h.book.set(nil, func() { h.later(300 * time.Millisecond) })
	h.lane()
	h.book.set(nil, nil)
	h.later(time.Second)
	h.lane()
	require.Equal(t, "2000.00", h.book.fields["1"].Outstanding.Decimal)
	require.Zero(t, h.open())
}

func TestWhatIsWithheldIsNotForgottenWhenItsMethodIsFreeMeanwhile(t *testing.T) {
	h := newHouse(t)
	h.paidWins()
	h.pay("1")
	e := exhausted()
	e.RetryAfter = 2 * time.Second
	h.book.hide(e)
	h.book.set(nil, func() { h.later(3 * time.Second) })
	h.lane()
	h.book.hide(nil)
	h.book.set(nil, nil)
	h.later(3 * time.Second)
	h.lane()
	require.Equal(t, crm.Paid, h.book.status("1"))
	require.Equal(t, 1, h.book.noted("1"))
}

func TestWhatIsRefusedTakesNothingElseWithIt(t *testing.T) {
	h := newHouse(t)
	h.pay("1")
	h.book.set(func(c crm.Change) error {
		if c.Effect != nil {
			return failing(crm.Refused, false)
		}
		return failing(crm.Transient, false)
	}, nil)
	h.lane()
	require.Zero(t, h.dead())
	h.book.set(func(c crm.Change) error {
		if c.Effect != nil {
			return failing(crm.Refused, false)
		}
		return nil
	}, nil)
	h.later(time.Minute)
	h.lane()
	require.Equal(t, crm.Paid, h.book.status("1"), "it was only late")
	require.Equal(t, 1, h.dead())
	require.Equal(t, []string{payments.SyncFailed}, h.exceptions("1"), "a person is told of the note")
}

func TestAReadThatTookTooLongLeavesNoDoubtAboutNotes(t *testing.T) {
	h := newHouse(t)
	h.paidWins()
	h.pay("1")
	e := failing(crm.Transient, true)
	e.Err = context.DeadlineExceeded
	h.book.hide(e)
	h.lane()
	h.book.hide(nil)
	h.later(5 * time.Second)
	h.lane()
	require.Equal(t, crm.Paid, h.book.status("1"))
	require.Equal(t, 1, h.book.noted("1"), "at once, not after a minute")
}

// Access that was lost is no failure of the promises that need it: none is given up, and reconnecting makes them due.
func TestWhatNeedsAccessIsKeptUntilSomebodyReconnects(t *testing.T) {
	h := newHouse(t)
	var answered int
	lost := true
	robots := func(context.Context, tenants.ID, string) (time.Time, error) {
		if lost {
			return time.Time{}, failing(crm.Revoked, false)
		}
		answered++
		return time.Time{}, nil
	}
	run := func() {
		due, err := h.f.DB.Due(h.Context(), h.now(), 0, 100)
		require.NoError(h, err)
		for _, r := range due {
			w := h.worker()
			w.Robots = robots
			require.NoError(h, w.Run(h.Context(), h.id, outbox.Kind(r.Kind), r.ID))
		}
	}
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		return outbox.Make(ctx, tx, outbox.Robot, "1", h.now())
	})
	for range 100 {
		run()
		h.later(time.Hour)
	}
	require.Equal(t, []any{1, 0, 0}, []any{h.openOf(outbox.Robot), h.dead(), answered})
	require.Equal(t, []string{payments.CRMRevoked}, h.exceptions(""))
	run() // a moment before
	lost = false
	h.connect()
	run()
	require.Equal(t, []any{0, 1}, []any{h.openOf(outbox.Robot), answered})
	require.Empty(t, h.exceptions(""))
}

// A set-up that cannot be done for days is tried once a day: nothing else would bring the account back.
func TestASetUpIsNeverGivenUp(t *testing.T) {
	h := newHouse(t)
	h.refuse(failing(crm.Transient, false))
	h.connect()
	for range 200 {
		h.later(time.Hour)
		due, err := h.f.DB.Due(h.Context(), h.now(), 0, 100)
		require.NoError(t, err)
		for _, r := range due {
			require.NoError(t, h.worker().Run(t.Context(), h.id, outbox.Setup, r.ID))
		}
	}
	require.Equal(t, []any{1, 0}, []any{h.openOf(outbox.Setup), h.dead()})
	h.refuse(nil)
	h.later(24 * time.Hour)
	h.connect()
	require.Zero(t, h.openOf(outbox.Setup))
}
