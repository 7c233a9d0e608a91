package payments_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// reconcile runs the comparison of a day to its end, as a worker without a CRM does.
func reconcile(s *tilltest.Shop, of string) payments.Run {
	s.Helper()
	key := of + "|till"
	for {
		stretch, err := s.NextStretch(s.Context(), s.ID, key)
		require.NoError(s, err)
		if len(stretch.Attempts) == 0 {
			require.NoError(s, s.Finish(s.Context(), s.ID, stretch.Run))
			return runOf(s, stretch.Run.ID)
		}
		for _, a := range stretch.Attempts {
			require.NoError(s, s.Compare(s.Context(), s.ID, stretch.Run, a, false))
		}
	}
}

func runOf(s *tilltest.Shop, id uuid.UUID) (r payments.Run) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) (err error) {
		r, err = payments.RunOf(ctx, tx, id)
		return err
	})
	return r
}

// found lists a run's mismatches: source, kind, ours, theirs and state.
func found(s *tilltest.Shop, r payments.Run) []string {
	s.Helper()
	lines := []string{}
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		all, err := payments.Mismatches(ctx, tx, r.ID, 0, 100)
		for _, m := range all {
			lines = append(lines, fmt.Sprintf("%s %s: %s / %s, %s", m.Source, m.Kind, m.Ours, m.Theirs, m.State))
		}
		return err
	})
	return lines
}

func TestWhatAgreesIsNoMismatch(t *testing.T) {
	s := tilltest.New(t)
	_, a := s.Sold("1", 100_000)
	s.Learn(a, tilltest.Back(tilltest.AMD(100_000), tilltest.AMD(30_000)))
	s.Try(s.Invoice("2", 50_000)) // given up
	s.Clock = s.Clock.AddDate(0, 0, 1)
	r := reconcile(s, "2026-03-10")
	require.Empty(t, found(s, r))
	require.Equal(t, []any{"done", 2, 2, 0, 0, 0}, []any{r.State, r.Total, r.Checked, r.Repaired, r.Unanswered, r.Open})
	require.NotNil(t, r.FinishedAt)
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		totals, err := payments.Totals(ctx, tx, r)
		require.Equal(t, []payments.Total{{Kind: "capture", Currency: "AMD", Minor: 100_000}, {Kind: "refund", Currency: "AMD", Minor: -30_000}}, totals)
		return err
	})
}

func TestTheAcquirersWordIsCompared(t *testing.T) {
	for name, c := range map[string]struct {
		says payments.Observation
		want []string
	}{
		"less":                 {tilltest.Took(tilltest.AMD(90_000)), []string{"acquirer amount_differs: 1000.00 AMD / 900.00 AMD, open"}},
		"more, which we learn": {tilltest.Took(tilltest.AMD(110_000)), []string{"acquirer amount_differs: 1000.00 AMD / 1100.00 AMD, closed"}},
		"another status":       {payments.Observation{Status: state.AttemptFailed}, []string{"acquirer status_differs: paid / failed, open"}},
		"a refund we missed": {tilltest.Back(tilltest.AMD(100_000), tilltest.AMD(20_000)),
			[]string{"acquirer refund_differs: 0.00 AMD / 200.00 AMD, closed"}},
		"a reversal": {payments.Observation{Status: state.AttemptCancelled, Refunded: tilltest.AMD(100_000)},
			[]string{"acquirer refund_differs: 0.00 AMD / 1000.00 AMD, closed"}},
		"nothing": {payments.Observation{}, []string{"acquirer missing_at_acquirer: 1000.00 AMD / , open"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := tilltest.New(t)
			_, a := s.Sold("1", 100_000)
			s.Tell(a, c.says)
			s.Clock = s.Clock.AddDate(0, 0, 1)
			require.Equal(t, c.want, found(s, reconcile(s, "2026-03-10")))
		})
	}
}

func TestAPaymentNobodyToldUsOfIsFound(t *testing.T) {
	s := tilltest.New(t)
	in := s.Invoice("1", 100_000)
	s.Tell(s.Try(in), tilltest.Took(tilltest.AMD(100_000)))
	s.Clock = s.Clock.AddDate(0, 0, 4)
	r := reconcile(s, "2026-03-13")
	require.Equal(t, []string{"acquirer missing_here: pending / 1000.00 AMD, closed"}, found(s, r))
	require.Equal(t, 1, r.Repaired)
	require.Equal(t, state.Paid, s.Read(in.ID).Status)
	require.Empty(t, found(s, reconcile(s, "2026-03-14")), "and not again the night after")
}

func TestRegistersAreTheSecondSource(t *testing.T) {
	s := tilltest.New(t)
	_, good := s.Sold("1", 100_000)
	_, less := s.Sold("2", 100_000)
	s.Sold("3", 100_000)
	unpaid := s.Try(s.Invoice("4", 100_000))
	_, back := s.Sold("5", 100_000)
	bring(s, "sale,"+good.Reference+",,1000,,2026-03-10", "sale,"+less.Reference+",,900,,2026-03-10", "sale,"+unpaid.Reference+",,1000,,2026-03-10",
		"sale,"+back.Reference+",,1000,,2026-03-10", "refund,"+back.Reference+",,50,,2026-03-10", "sale,STRANGE,,70,,2026-03-10", "fee,,,1,,2026-03-16")
	s.Clock = s.Clock.AddDate(0, 0, 6)
	r := reconcile(s, "2026-03-10")
	want := []string{"register amount_differs: 1000.00 AMD / 900.00 AMD, open", "register missing_at_acquirer: 1000.00 AMD / , open",
		"register missing_here: pending / 1000.00 AMD, open", "register refund_differs: 0.00 AMD / 50.00 AMD, open",
		"register missing_here:  / payment 70.00 AMD, open"}
	require.Equal(t, want, found(s, r))
	require.Equal(t, 5, r.Open)
	require.Empty(t, found(s, reconcile(s, "2026-03-11")), "what stands already is not found twice")

	s.Learn(unpaid, tilltest.Took(tilltest.AMD(100_000)))
	s.Learn(back, tilltest.Back(tilltest.AMD(100_000), tilltest.AMD(5_000)))
	reconcile(s, "2026-03-12")
	r = runOf(s, r.ID)
	require.Equal(t, 3, r.Open, "what agrees meanwhile is closed")
}

func TestAPersonsWordOnAMismatchStands(t *testing.T) {
	s := tilltest.New(t)
	_, a := s.Sold("1", 100_000)
	s.Tell(a, tilltest.Took(tilltest.AMD(90_000)))
	s.Clock = s.Clock.AddDate(0, 0, 1)
	r := reconcile(s, "2026-03-10")
	accountant := payments.By{Actor: "user:9", Role: tenants.Accountant}
	judge := func(by payments.By, n int, j payments.Judgement) (payments.Mismatch, error) {
		return s.Judge(t.Context(), s.ID, by, r.ID, n, j)
	}
	_, err := judge(payments.By{Actor: "user:3", Role: tenants.Manager}, 1, payments.Judgement{State: "closed", Reason: "x"})
	require.ErrorIs(t, err, payments.ErrRole)
	_, err = judge(accountant, 1, payments.Judgement{State: "explained"})
	require.ErrorIs(t, err, payments.ErrInvalid)
	_, err = judge(accountant, 1, payments.Judgement{State: "forgotten", Reason: "x"})
	require.ErrorIs(t, err, payments.ErrInvalid)
	_, err = judge(accountant, 2, payments.Judgement{State: "closed", Reason: "x"})
	require.ErrorIs(t, err, payments.ErrNotFound)
	m, err := judge(accountant, 1, payments.Judgement{State: "explained", Reason: "the bank rounds"})
	require.NoError(t, err)
	require.Equal(t, []string{"explained", "the bank rounds", "user:9"}, []string{m.State, m.Reason, m.Owner})
	require.Empty(t, found(s, reconcile(s, "2026-03-11")), "explained for good")

	_, err = judge(accountant, 1, payments.Judgement{State: "closed", Reason: "settled"})
	require.NoError(t, err)
	require.Len(t, found(s, reconcile(s, "2026-03-11")), 1, "what was closed and still differs is found again")
	_, err = judge(accountant, 1, payments.Judgement{State: "open"})
	require.ErrorIs(t, err, payments.ErrState)
}

func TestWhatWasExplainedIsOpenAgainWhenItDiffersOtherwise(t *testing.T) {
	s := tilltest.New(t)
	_, a := s.Sold("1", 100_000)
	s.Tell(a, tilltest.Took(tilltest.AMD(90_000)))
	s.Clock = s.Clock.AddDate(0, 0, 1)
	r := reconcile(s, "2026-03-10")
	_, err := s.Judge(t.Context(), s.ID, s.By, r.ID, 1, payments.Judgement{State: "explained", Reason: "the bank rounds"})
	require.NoError(t, err)
	reconcile(s, "2026-03-10")
	require.Equal(t, []string{"acquirer amount_differs: 1000.00 AMD / 900.00 AMD, explained"}, found(s, r), "the same is explained")
	s.Tell(a, tilltest.Took(tilltest.AMD(10_000)))
	reconcile(s, "2026-03-10")
	require.Equal(t, []string{"acquirer amount_differs: 1000.00 AMD / 100.00 AMD, open"}, found(s, r))
	require.Equal(t, 1, runOf(s, r.ID).Open)
	s.Tell(a, tilltest.Took(tilltest.AMD(20_000)))
	reconcile(s, "2026-03-10")
	require.Equal(t, []string{"acquirer amount_differs: 1000.00 AMD / 200.00 AMD, open"}, found(s, r), "what is open says what is so now")
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		trail, err := tx.Trail(ctx, nil, 0, 50)
		n := 0
		for _, e := range trail {
			if e.Action == "mismatch.open" {
				n++
			}
		}
		require.Equal(t, 1, n)
		return err
	})
}

func TestARunGoesOnWhereItStopped(t *testing.T) {
	s := tilltest.New(t)
	for n := range 25 {
		s.Sold(fmt.Sprint(n), 1_000)
	}
	s.Clock = s.Clock.AddDate(0, 0, 1)
	first, err := s.NextStretch(t.Context(), s.ID, "2026-03-10|till")
	require.NoError(t, err)
	require.Equal(t, []int{25, 20, 20}, []int{first.Run.Total, len(first.Attempts), len(first.Deals)})
	for _, a := range first.Attempts[:7] {
		require.NoError(t, s.Compare(t.Context(), s.ID, first.Run, a, true))
	}
	s.Till.Fail(payments.ErrUnavailable)
	require.ErrorIs(t, s.Compare(t.Context(), s.ID, first.Run, first.Attempts[7], true), payments.ErrUnavailable)
	require.Equal(t, 7, runOf(s, first.Run.ID).Checked)
	second, err := s.NextStretch(t.Context(), s.ID, "2026-03-10|till")
	require.NoError(t, err)
	require.Equal(t, first.Attempts[7].ID, second.Attempts[0].ID)
	require.NoError(t, s.Compare(t.Context(), s.ID, first.Run, second.Attempts[0], false))
	s.Till.Fail(nil)
	r := reconcile(s, "2026-03-10")
	require.Equal(t, []any{"done", 25, 1, 0}, []any{r.State, r.Checked, r.Unanswered, r.Open})
}

func TestEveryNightWhileThereIsSomethingToLookAt(t *testing.T) {
	s := tilltest.New(t)
	s.Clock = time.Date(2026, 3, 10, 21, 30, 0, 0, time.UTC) // the eleventh in Yerevan
	s.Sold("1", 100_000)
	promised := func() (key string, due time.Time) {
		s.In(func(ctx context.Context, tx *tenants.Tx) error {
			return tx.QueryRow(ctx, `SELECT key, due_at FROM outbox WHERE kind = 'reconcile' ORDER BY id DESC LIMIT 1`).Scan(&key, &due)
		})
		return key, due.UTC()
	}
	key, due := promised()
	require.Equal(t, []any{"2026-03-11|till", time.Date(2026, 3, 11, 23, 0, 0, 0, time.UTC)}, []any{key, due}, "three in the morning of the twelfth")
	for d := 11; d <= 17; d++ {
		key, s.Clock = promised()
		require.Equal(t, fmt.Sprintf("2026-03-%d|till", d), key)
		require.Equal(t, 1, reconcile(s, key[:10]).Total)
	}
	key, _ = promised()
	require.Equal(t, "2026-03-17|till", key, "a week later nothing is left to look at")
}

func TestAPersonAsksForADayThatIsOver(t *testing.T) {
	s := tilltest.New(t)
	ask := func(by payments.By, of, acquirer string) error {
		_, err := s.Reconcile(t.Context(), s.ID, by, day(of), acquirer)
		return err
	}
	require.ErrorIs(t, ask(payments.By{Actor: "user:3", Role: tenants.Manager}, "2026-03-09", "till"), payments.ErrRole)
	require.ErrorIs(t, ask(s.By, "2026-03-09", "nobody"), payments.ErrNotFound)
	require.ErrorIs(t, ask(s.By, "2026-03-10", "till"), payments.ErrInvalid)
	require.ErrorIs(t, ask(s.By, "2024-03-10", "till"), payments.ErrInvalid)
	for _, of := range []string{"2026-03-07", "2026-03-09", "2026-03-08", "2026-03-09"} {
		require.NoError(t, ask(s.By, of, "till"))
	}
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		page, err := payments.Runs(ctx, tx, nil, 2)
		require.NoError(t, err)
		require.Equal(t, []any{"2026-03-09", "waiting", "2026-03-08"}, []any{page[0].Day.Format(time.DateOnly), page[0].State, page[1].Day.Format(time.DateOnly)})
		page, err = payments.Runs(ctx, tx, &page[1].ID, 2)
		require.Len(t, page, 1)
		return err
	})
	_, err := s.NextStretch(t.Context(), s.ID, "no day")
	require.ErrorIs(t, err, payments.ErrNotFound)
}
