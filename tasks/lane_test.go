package tasks_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
)

// The holder has looked for the last time and found nothing; before it lets go, a change is promised and its reminder is
// answered by another worker, which finds the lane taken. Nobody will remind again.
func TestAWakeUpBetweenTheLastLookAndLettingGoIsNotLost(t *testing.T) {
	h := newHouse(t)
	h.pay("1")
	holder, turns := h.worker(), 0
	holder.Fault = func(point string) {
		if point != "leaving" {
			return
		}
		if turns++; turns > 2 {
			return
		}
		h.pay(fmt.Sprint("late ", turns))
		require.NoError(t, h.worker().Lane(t.Context(), h.id), "answered: the lane is taken")
		require.Zero(t, h.book.noted(fmt.Sprint("late ", turns)))
	}
	require.NoError(t, holder.Lane(t.Context(), h.id))
	for _, deal := range []string{"1", "late 1", "late 2"} {
		require.Equal(t, crm.Paid, h.book.status(deal), deal)
	}
	require.Zero(t, h.open())
}

func TestALaneHasOneHolder(t *testing.T) {
	h := newHouse(t)
	h.book.set(nil, func() { time.Sleep(time.Millisecond) })
	var all sync.WaitGroup
	for n := range 6 {
		all.Go(func() {
			for i := range 5 {
				h.payOf(h.id, fmt.Sprint(n, "-", i))
				if err := h.worker().Lane(context.WithoutCancel(t.Context()), h.id); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, h.book.most, "calls at once")
	require.Zero(t, h.open(), "no reminder was swallowed")
	for n := range 6 {
		for i := range 5 {
			require.Equal(t, 1, h.book.noted(fmt.Sprint(n, "-", i)))
		}
	}
}

func TestADealChangedFiveTimesIsWrittenOnceWithAllItsNotes(t *testing.T) {
	h := newHouse(t)
	h.pay("7", "7", "7", "7", "7")
	h.lane()
	calls, writes, _ := h.book.counts()
	require.Equal(t, []int{1, 1, 5}, []int{calls, writes, h.book.noted("7")})
	require.Equal(t, "5000.00", h.book.fields["7"].Paid.Decimal)
	h.lane()
	calls, _, _ = h.book.counts()
	require.Equal(t, 1, calls, "nothing changed, nothing is called")
}

func TestAFloodIsSentInFullPartsAndReadInFewRequests(t *testing.T) {
	h := newHouse(t)
	h.paidWins()
	const n = 600
	var all sync.WaitGroup
	for part := range 6 {
		all.Go(func() {
			for i := part; i < n; i += 6 {
				h.payOf(h.id, fmt.Sprint(i))
			}
		})
	}
	all.Wait()
	h.book.stages["13"] = "LOST"
	h.lane()
	calls, writes, reads := h.book.counts()
	require.Equal(t, []int{12, n, 3}, []int{calls, writes, reads}, "50 deals a part, 250 a read")
	require.Equal(t, 100, h.book.widest)
	require.LessOrEqual(t, h.book.most, 2)
	require.Equal(t, "WON", h.book.stages["12"])
	require.Equal(t, "LOST", h.book.stages["13"], "a closed deal is not moved")
	require.Zero(t, h.open())
}

func TestARefundLeavesAWonDealWhereItIsAndIsNoted(t *testing.T) {
	h := newHouse(t)
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		return tx.SetSettings(ctx, tenants.Settings{Stages: map[string]map[string]string{"0": {"paid": "WON", "refunded": "BACK"}}}, tenants.Operator)
	})
	refunded := func(deal, stage string) {
		t.Helper()
		in := h.sell(deal)
		require.Equal(t, "WON", h.book.stages[deal])
		require.Equal(t, 1, h.book.noted(deal))
		h.book.stages[deal] = stage
		h.till.mu.Lock()
		h.till.back = true
		h.till.mu.Unlock()
		require.NoError(t, h.payments.CheckInvoice(t.Context(), h.id, in.ID))
		h.lane()
		require.Equal(t, crm.Refunded, h.book.status(deal))
		require.Equal(t, 2, h.book.noted(deal))
		h.till.mu.Lock()
		h.till.back = false
		h.till.mu.Unlock()
	}
	refunded("1", "WON")
	require.Equal(t, "WON", h.book.stages["1"], "a refund erases nothing")
	refunded("2", "OPENED AGAIN")
	require.Equal(t, "BACK", h.book.stages["2"], "an open deal follows the mapping")
}

func TestALaneGoesToTheBackOfTheQueueWhenItsSliceIsOver(t *testing.T) {
	h := newHouse(t)
	h.book.set(nil, func() { // one new change while one is written, each taking two seconds: it would never end
		h.later(2 * time.Second)
		h.payOf(h.id, fmt.Sprint("next ", h.serial.Load()))
	})
	h.pay("1")
	h.lane()
	calls, _, _ := h.book.counts()
	require.Equal(t, 3, calls, "five seconds")
	require.Equal(t, 1, h.open())
	require.Len(t, h.reminded, 1, "told the queue")
	h.book.set(nil, nil)
	h.lane()
	require.Zero(t, h.open(), "and let go of the lane")
}

func TestTurnsAreShortWhileOthersWait(t *testing.T) {
	h := newHouse(t)
	h.book.set(nil, func() {
		h.later(600 * time.Millisecond)
		h.payOf(h.id, fmt.Sprint("next ", h.serial.Load()))
	})
	h.pay("1")
	w := h.worker()
	w.Crowded = func() bool { return true }
	require.NoError(t, w.Lane(t.Context(), h.id))
	calls, _, _ := h.book.counts()
	require.Equal(t, 2, calls, "a second")
	require.Len(t, h.reminded, 1)
}

func TestRemindersThatComeTwiceDoNothingTwice(t *testing.T) {
	h := newHouse(t)
	h.pay(deals(20)...)
	h.book.set(nil, func() { time.Sleep(5 * time.Millisecond) })
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { _ = h.worker().Lane(context.WithoutCancel(t.Context()), h.id) })
	}
	all.Wait()
	h.lane()
	_, writes, _ := h.book.counts()
	require.Equal(t, 20, writes)
	for _, deal := range deals(20) {
		require.Equal(t, 1, h.book.noted(deal), deal)
	}
}

// Five links in a second: the first is written at once, the others together, with every note.
func TestChangesInQuickSuccessionAreWrittenTogether(t *testing.T) {
	h := newHouse(t)
	h.owe("1")
	h.lane()
	_, before, _ := h.book.counts()
	for range 4 {
		h.later(200 * time.Millisecond)
		h.owe("1")
		h.lane()
	}
	_, writes, _ := h.book.counts()
	require.Equal(t, before, writes)
	require.Equal(t, 1, h.open())
	require.Equal(t, "waiting", h.sync("1").State)
	h.later(200 * time.Millisecond)
	h.lane()
	_, writes, _ = h.book.counts()
	require.Equal(t, before+1, writes)
	require.Equal(t, "5000.00", h.book.fields["1"].Outstanding.Decimal)
	require.Zero(t, h.open())
	h.owe("1")
	h.pay("1")
	h.lane()
	_, writes, _ = h.book.counts()
	require.Equal(t, before+2, writes, "money waits for nothing")
}

// A worker that stands still for longer than its lease must not record what another one has taken over; and what it wrote late,
// over what is newer, does not stay in the CRM.
func TestAWorkerThatOversleptRecordsNothing(t *testing.T) {
	h := newHouse(t)
	h.pay("1")
	paid := func() string {
		h.book.mu.Lock()
		defer h.book.mu.Unlock()
		return h.book.fields["1"].Paid.Decimal
	}
	var once atomic.Bool
	h.book.set(nil, func() {
		if once.Swap(true) {
			return
		}
		h.later(10 * time.Second)
		h.pay("1")
		require.NoError(t, h.worker().Lane(context.WithoutCancel(t.Context()), h.id))
		require.Equal(t, []string{"written", "2000.00"}, []string{h.sync("1").State, paid()})
	})
	h.lane()
	require.Equal(t, "1000.00", paid(), "what is older came last")
	require.NotEqual(t, "written", h.sync("1").State)
	h.lane()
	require.Equal(t, []string{"written", "2000.00"}, []string{h.sync("1").State, paid()})
	require.Zero(t, h.open())
}

// Full batches have goroutines of their own, where a panic would end the process.
func TestAPanicInAFullBatchEndsOnlyItsTurn(t *testing.T) {
	h := newHouse(t)
	h.pay(deals(250)...)
	h.book.set(func(crm.Change) error { panic("broken") }, nil)
	require.ErrorContains(t, h.worker().Lane(t.Context(), h.id), "broken")
	h.book.set(nil, nil)
	h.later(time.Minute) // the claims are over
	h.lane()
	require.Zero(t, h.open())
}
