package tasks_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tasks"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// changed is what a CRM's event of these deals promises.
func (h *house) changed(deals ...string) {
	h.Helper()
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		outbox.Promise(tx, outbox.Review, h.now(), deals...)
		return nil
	})
}

func (h *house) reviews() {
	h.Helper()
	require.NoError(h, h.worker().Run(context.WithoutCancel(h.Context()), h.id, outbox.Review, 0))
}

// reviewing counts the reviews that wait.
func (h *house) reviewing() (n int) {
	h.Helper()
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM outbox WHERE kind = 'review' AND done_at IS NULL`).Scan(&n)
	})
	return n
}

// write changes a deal's status by hand.
func (h *house) write(deal string, s crm.Status) {
	h.book.mu.Lock()
	held := h.book.fields[deal]
	held.Status = s
	h.book.fields[deal] = held
	h.book.mu.Unlock()
}

func TestTheEchoOfADrainCostsOneReadInAll(t *testing.T) {
	h := newHouse(t)
	h.pay(deals(200)...)
	h.lane()
	h.changed(deals(200)...)
	h.reviews()
	_, _, reads := h.book.counts()
	require.Zero(t, reads, "the echo is waited for")
	require.Equal(t, 200, h.reviewing())
	h.later(11 * time.Second)
	h.reviews()
	calls, writes, reads := h.book.counts()
	require.Equal(t, []int{4, 200, 1}, []int{calls, writes, reads})
	require.Zero(t, h.reviewing())
	require.Zero(t, h.open())
}

// A hand that came within the echo of our own write is seen as well: only what the deal holds tells the two apart.
func TestAHandWithinOurEchoIsSeen(t *testing.T) {
	h := newHouse(t)
	h.pay("1", "2")
	h.lane()
	h.write("1", crm.Cancelled)
	h.changed("1", "2")
	h.reviews()
	h.later(11 * time.Second)
	h.reviews()
	require.Equal(t, []string{"status"}, h.sync("1").Overwritten)
	require.Nil(t, h.sync("2").Overwritten)
	h.lane()
	require.Equal(t, crm.Paid, h.book.status("1"))
	require.Equal(t, 1, h.book.noted("1"))
}

func TestARepairThatIsUndoneAgainAndAgainBecomesAnException(t *testing.T) {
	h := newHouse(t)
	h.pay("1")
	h.lane()
	for round := 1; round <= 6; round++ {
		h.later(time.Minute)
		h.write("1", crm.Cancelled)
		h.changed("1")
		h.reviews()
		h.lane()
		if round <= 3 {
			require.Equal(t, []any{crm.Paid, true}, []any{h.book.status("1"), h.sync("1").Repaired}, "round %d", round)
			require.Empty(t, h.exceptions("1"))
		} else {
			require.Equal(t, []any{crm.Cancelled, false}, []any{h.book.status("1"), h.sync("1").Repaired}, "round %d", round)
			require.Equal(t, []string{payments.Overwritten}, h.exceptions("1"))
		}
	}
	_, writes, _ := h.book.counts()
	require.Equal(t, 4, writes, "nothing goes round")
	h.write("1", crm.Paid)
	h.changed("1")
	h.reviews()
	require.Empty(t, h.exceptions("1"), "it ends by itself")
	require.Nil(t, h.sync("1").Overwritten)
}

func TestADealThatIsBeingWrittenIsReviewedAfterwards(t *testing.T) {
	h := newHouse(t)
	h.pay("1")
	h.lane()
	h.later(time.Minute)
	h.pay("1")
	h.changed("1")
	h.reviews()
	_, _, reads := h.book.counts()
	require.Zero(t, reads)
	require.Equal(t, 1, h.reviewing())
	h.lane()
	h.later(21 * time.Second)
	h.reviews()
	require.Zero(t, h.reviewing())
	require.Nil(t, h.sync("1").Overwritten)
}

func TestAReviewSurvivesAnOutageAndADeath(t *testing.T) {
	for _, point := range []string{"", "claimed", "worked", "closed"} {
		t.Run(point, func(t *testing.T) {
			h := newHouse(t)
			h.pay("1")
			h.lane()
			h.later(time.Minute)
			h.write("1", crm.Cancelled)
			h.changed("1")
			h.refuse(failing(crm.Transient, false))
			h.reviews()
			require.Equal(t, 1, h.reviewing())
			h.refuse(nil)
			h.later(2 * time.Second)
			if point != "" {
				require.True(t, h.dying(point, 1, func(w *tasks.Worker) { _ = w.Reviews(context.WithoutCancel(t.Context()), h.id) }))
				h.later(3100 * time.Millisecond)
			}
			h.reviews()
			h.lane()
			h.later(21 * time.Second) // what was judged before the death waited for the repair
			h.reviews()
			require.Equal(t, []any{crm.Paid, 1, 0}, []any{h.book.status("1"), h.book.noted("1"), h.reviewing()})
			require.Equal(t, 1, h.sync("1").Repairs, "a repair too many would count")
		})
	}
}

// Shut out: people hear of it at once, nothing is sent until it is over, and the exception ends with the first write.
func TestABlockIsToldToTheAdministratorAndEndsByItself(t *testing.T) {
	h := newHouse(t)
	h.pay(deals(120)...)
	shut := failing(crm.Throttled, false)
	shut.Blocked, shut.RetryAfter = true, 5*time.Minute
	h.book.set(func(crm.Change) error { return shut }, nil)
	h.lane()
	require.Equal(t, []string{payments.CRMBlocked}, h.exceptions(""))
	require.Equal(t, "blocked", h.sync("1").Reason)
	h.later(4 * time.Minute)
	h.lane()
	calls, _, _ := h.book.counts()
	require.Equal(t, 1, calls)
	h.book.set(nil, nil)
	h.later(2 * time.Minute)
	h.lane()
	require.Zero(t, h.open())
	require.Empty(t, h.exceptions(""))
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		lane, err := outbox.LaneOf(ctx, tx)
		require.Empty(t, lane.PausedWhy)
		require.Equal(t, []string{"ok", "ok", "ok", "blocked"}, outcomes(lane.Calls))
		return err
	})
}

func outcomes(calls []outbox.Call) (all []string) {
	for _, c := range calls {
		all = append(all, c.Outcome)
	}
	return all
}

// Thousands of failures replayed at once leave room for what people do meanwhile.
func TestAReplayOfEverythingComesInPortions(t *testing.T) {
	h := newHouse(t)
	const n = 240
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO outbox (tenant_id, kind, key, due_at, dead_at, last_error) SELECT $1, 'push', 'd' || n, $2, $2, 'refused' FROM generate_series(1, $3) n`,
			h.id.String(), h.now(), n)
		return err
	})
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		replayed, err := outbox.Replay(ctx, tx, nil, h.now())
		require.Equal(t, n, replayed)
		return err
	})
	for portion := range 5 {
		h.lane()
		require.Equal(t, max(0, n-50*(portion+1)), h.open(), fmt.Sprint("portion ", portion))
		h.pay(fmt.Sprint("fresh ", portion))
		h.lane()
		require.Equal(t, 1, h.book.noted(fmt.Sprint("fresh ", portion)), "not behind the replay")
		h.later(2 * time.Second)
	}
}
